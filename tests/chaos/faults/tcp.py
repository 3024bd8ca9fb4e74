"""A TCP proxy that delays, stalls, slows, cuts and resets what passes, when it is told to."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeVar

from tests.chaos.children import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.chaos.timeline import Timeline

CHUNK: Final = 64 * 1024
_LINGER: Final = struct.pack("ii", 1, 0)  # on, for 0 seconds: a close sends RST in place of FIN (socket(7))


@dataclass(slots=True, eq=False)
class Link:
    """One connection from a client through the proxy to the server.

    Attributes:
        cut_at: bytes of answers after which it ends; None is never.
    """

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    cut_at: int | None = None
    passed: int = 0

    def reset(self) -> None:
        """End both sides with RST, as a host does that went away."""
        for side in (self.client, self.server):
            with suppress(OSError, AttributeError):
                side.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER)
            side.transport.abort()


@dataclass(slots=True, eq=False)
class FaultProxy:
    """A proxy between the services and one server.

    Attributes:
        name: of the server, in the timeline.
        target: its port.
        port: where the proxy listens.
        delay: seconds for which each piece of an answer is held.
        rate: bytes a second of answers; None is as fast as they come.
        cuts: for each of the next connections, the bytes of answers after which it ends.
        flowing: while it is not set, nothing passes in either direction.
    """

    name: str
    target: int
    timeline: Timeline
    port: int = 0
    delay: float = 0.0
    rate: float | None = None
    cuts: list[int] = field(default_factory=list)
    flowing: asyncio.Event = field(default_factory=asyncio.Event)
    links: set[Link] = field(default_factory=set)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def reset_all(self) -> int:
        """Reset every connection that is open; return how many."""
        links = list(self.links)
        for link in links:
            link.reset()
        if links:
            self.timeline.fault(f"{self.name}: reset", f"{len(links)} connections")
        return len(links)

    @contextmanager
    def stalled(self) -> Iterator[None]:
        """Let nothing pass while the block runs."""
        self.flowing.clear()
        self.timeline.fault(f"{self.name}: stall")
        try:
            yield
        finally:
            self.flowing.set()

    @contextmanager
    def slowed(self, *, delay: float = 0.0, rate: float | None = None) -> Iterator[None]:
        """Hold answers back while the block runs."""
        self.delay, self.rate = delay, rate
        self.timeline.fault(f"{self.name}: slow" if rate else f"{self.name}: delay")
        try:
            yield
        finally:
            self.delay, self.rate = 0.0, None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection of a client."""
        try:
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        link = Link(writer, server_writer, self.cuts.pop(0) if self.cuts else None)
        self.links.add(link)
        try:
            await self.relay(link, reader, server_reader)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            self.links.discard(link)
            for side in (writer, server_writer):
                side.close()

    async def relay(self, link: Link, reader: asyncio.StreamReader, server_reader: asyncio.StreamReader) -> None:
        """Pass bytes on until one side ends."""
        pumps = [
            asyncio.ensure_future(self.pump_questions(link, reader)),
            asyncio.ensure_future(self.pump_answers(link, server_reader)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)

    async def pump_questions(self, link: Link, reader: asyncio.StreamReader) -> None:
        while data := await reader.read(CHUNK):
            await self.ask(link, data)

    async def pump_answers(self, link: Link, server_reader: asyncio.StreamReader) -> None:
        while data := await server_reader.read(CHUNK):
            await self.answer(link, data)

    async def ask(self, link: Link, data: bytes) -> None:
        """Pass a piece of a question on."""
        await self.flowing.wait()
        link.server.write(data)
        await link.server.drain()

    async def answer(self, link: Link, data: bytes) -> None:
        """Pass a piece of an answer on, with whatever is wrong at the moment."""
        await self.flowing.wait()
        if self.delay:
            await asyncio.sleep(self.delay)
        if self.rate:
            await asyncio.sleep(len(data) / self.rate)
        await self.flowing.wait()
        left = len(data) if link.cut_at is None else link.cut_at - link.passed
        link.client.write(data[:left])
        link.passed += min(len(data), left)
        await link.client.drain()
        if link.cut_at is not None and link.passed >= link.cut_at:
            self.timeline.fault(f"{self.name}: cut", f"after {link.passed} bytes")
            raise ConnectionAbortedError


Proxy = TypeVar("Proxy", bound=FaultProxy)


@asynccontextmanager
async def running(proxy: Proxy) -> AsyncIterator[Proxy]:
    """Let a proxy listen while the block runs."""
    proxy.port = free_port()
    proxy.flowing.set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(proxy.serve(reader, writer))
        proxy.tasks.add(task)
        task.add_done_callback(proxy.tasks.discard)

    server = await asyncio.start_server(connected, "127.0.0.1", proxy.port)
    try:
        yield proxy
    finally:
        server.close()
        for task in tuple(proxy.tasks):
            task.cancel()
        await asyncio.gather(*proxy.tasks, return_exceptions=True)
