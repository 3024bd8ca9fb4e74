"""The listener of the edge: it serves an application at a port, with deadlines and limits for its connections."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Final, cast

from aiohttp import web

from exhaust.errors import ConfigurationError
from exhaust.http.connections import ConnectionLimiter, ConnectionLimits
from exhaust.http.edge_protocol import EdgeProtocol, notify_protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

BACKLOG: Final = 4096  # connections that the kernel has accepted and we have not; callers beyond them try again


@asynccontextmanager
async def open_listener(
    app: web.Application, host: str, port: int, limiter: ConnectionLimiter | None = None
) -> AsyncIterator[None]:
    """Serve an application until the block ends, and finish the requests in progress.

    Args:
        app: the application.
        host: the address to listen at.
        port: the port to listen at.
        limiter: counts and limits the connections; the default suits callers of our own.

    Raises:
        ConfigurationError: there is no such address, or another process listens there.
    """
    runner = web.AppRunner(app, shutdown_timeout=10)
    await runner.setup()
    server = cast("web.Server", runner.server)  # setup() has made it
    server.request_factory = notify_protocol(server.request_factory)
    try:
        connected = partial(EdgeProtocol, server, limiter or ConnectionLimiter(ConnectionLimits()))
        try:
            listener = await asyncio.get_running_loop().create_server(connected, host, port, backlog=BACKLOG)
        except OSError as error:
            raise ConfigurationError(f"cannot listen at {host}:{port}: {error.strerror or error}") from error
        try:
            yield
        finally:
            listener.close()
    finally:
        await runner.cleanup()
