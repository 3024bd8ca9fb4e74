"""A front before several gateways, as a load balancer is one: it passes connections on to whoever says it is ready."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Final

import aiohttp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

ASK_EVERY_S: Final = 0.2
CHUNK: Final = 64 * 1024


@dataclass(slots=True)
class Front:
    """Passes each connection on to the next gateway that was ready when it was last asked.

    Attributes:
        ports: of the gateways' public listeners.
        ready: those of them that are ready.
        refused: the ports that were believed ready and refused a connection.
    """

    ports: Sequence[int]
    ready: set[int] = field(default_factory=set)
    refused: list[int] = field(default_factory=list)
    port: int = 0
    _turn: count[int] = field(default_factory=count)

    async def sees(self, *ports: int) -> None:
        """Wait until the front takes these gateways for ready."""
        async with asyncio.timeout(10):
            while True:
                if self.ready.issuperset(ports):
                    return
                await asyncio.sleep(ASK_EVERY_S / 4)

    async def pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ready = sorted(self.ready)
        if ready:
            port = ready[next(self._turn) % len(ready)]
            try:
                behind = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                self.refused.append(port)
            else:
                await asyncio.gather(_copy(reader, behind[1]), _copy(behind[0], writer))
        writer.close()

    async def watch(self) -> None:
        """Ask every gateway for its readiness, again and again."""
        timeout = aiohttp.ClientTimeout(total=ASK_EVERY_S * 5)
        async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(force_close=True)) as http:
            while True:
                await asyncio.gather(*(self._ask(http, port) for port in self.ports))
                await asyncio.sleep(ASK_EVERY_S)

    async def _ask(self, http: aiohttp.ClientSession, port: int) -> None:
        try:
            async with http.get(f"http://127.0.0.1:{port}/health/ready") as answer:
                is_ready = answer.status == 200
        except (aiohttp.ClientError, TimeoutError):
            is_ready = False
        (self.ready.add if is_ready else self.ready.discard)(port)


@asynccontextmanager
async def open_front(ports: Sequence[int]) -> AsyncIterator[Front]:
    """A front before these gateways, while the block runs."""
    front = Front(ports)
    server = await asyncio.start_server(front.pass_on, "127.0.0.1", 0)
    front.port = server.sockets[0].getsockname()[1]
    watching = asyncio.create_task(front.watch())
    try:
        await front.sees(*ports)
        yield front
    finally:
        watching.cancel()
        server.close()
        await asyncio.wait([watching])


async def _copy(source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await source.read(CHUNK):
            to.write(data)
            await to.drain()
    with suppress(OSError):
        to.close()
