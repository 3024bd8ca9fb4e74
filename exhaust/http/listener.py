"""The listener of the edge: it serves an application at a port, with deadlines and limits for its connections."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final, cast

from exhaust.http.connections import ConnectionLimiter, ConnectionLimits
from exhaust.http.edge_protocol import EdgeProtocol, notify_protocol
from exhaust.http.runner import SHUTDOWN_TIMEOUT, listen_errors, open_runner

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiohttp import web

# For calls that wait: those of a status wait for 30 s at most, of which the drain delay has taken some. A supervisor
# that kills after 45 s never has to.
LONG_CALLS_WITHIN: Final = timedelta(seconds=25)
BACKLOG: Final = 4096  # connections that the kernel has accepted and we have not; callers beyond them try again


@asynccontextmanager
async def open_listener(
    app: web.Application,
    host: str,
    port: int,
    limiter: ConnectionLimiter | None = None,
    *,
    draining: asyncio.Event | None = None,
    finish_within: timedelta = SHUTDOWN_TIMEOUT,
) -> AsyncIterator[None]:
    """Serve an application until the block ends, and finish the requests in progress.

    Args:
        app: the application.
        host: the address to listen at.
        port: the port to listen at.
        limiter: counts and limits the connections; the default suits callers of our own.
        draining: once it is set, each answer is the last of its connection and says so (`Connection: close`), so that
            callers go elsewhere before the block ends.
        finish_within: how long requests in progress may take after the block.

    Raises:
        ConfigurationError: there is no such address, or another process listens there.
    """
    if draining is not None:
        app.on_response_prepare.append(partial(_close_while_draining, draining))
    async with open_runner(app, finish_within) as runner:
        server = cast("web.Server", runner.server)  # open_runner() has made it
        server.request_factory = notify_protocol(server.request_factory)
        connected = partial(EdgeProtocol, server, limiter or ConnectionLimiter(ConnectionLimits()))
        with listen_errors(host, port):
            listener = await asyncio.get_running_loop().create_server(connected, host, port, backlog=BACKLOG)
        try:
            yield
        finally:
            listener.close()


async def _close_while_draining(
    draining: asyncio.Event, _request: web.BaseRequest, response: web.StreamResponse
) -> None:
    if draining.is_set():
        response.headers["Connection"] = "close"
        response.force_close()
