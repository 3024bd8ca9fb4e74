"""Listening: an application served at a port, for as long as a block runs."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Final, cast

from aiohttp import web

from exhaust.http.connections import ConnectionLimits, Connections
from exhaust.http.server import EdgeProtocol, announcing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

BACKLOG: Final = 4096  # connections that the kernel has made and nobody has taken yet; more have to knock again


@asynccontextmanager
async def listening(
    app: web.Application, host: str, port: int, connections: Connections | None = None
) -> AsyncIterator[None]:
    """Serve an application until the block ends; requests in progress are then finished.

    Args:
        app: what is served.
        host: to listen at.
        port: to listen at.
        connections: where they are counted and bounded; the default is for callers of our own.
    """
    runner = web.AppRunner(app, shutdown_timeout=10)
    await runner.setup()
    server = cast("web.Server", runner.server)  # setup() has made it
    server.request_factory = announcing(server.request_factory)
    try:
        connected = partial(EdgeProtocol, server, connections or Connections(ConnectionLimits()))
        listener = await asyncio.get_running_loop().create_server(connected, host, port, backlog=BACKLOG)
        try:
            yield
        finally:
            listener.close()
    finally:
        await runner.cleanup()
