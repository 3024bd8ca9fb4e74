"""Work that ends when its caller goes away."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

from exhaust.http.edge_protocol import EdgeProtocol

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from aiohttp import web

T = TypeVar("T")


async def until_disconnected(request: web.Request, work: Coroutine[Any, Any, T]) -> T:
    """Return the result of some work, and cancel it as soon as the caller has closed the connection.

    Raises:
        ConnectionResetError: the caller went away.
    """
    protocol = request.protocol
    if not isinstance(protocol, EdgeProtocol):
        return await work
    working = asyncio.create_task(work)
    gone = asyncio.create_task(protocol.gone.wait())
    try:
        await asyncio.wait((working, gone), return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise ConnectionResetError("the caller went away")
    finally:
        gone.cancel()
        working.cancel()
        await asyncio.gather(gone, working, return_exceptions=True)
