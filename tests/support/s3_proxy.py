"""A TCP proxy between a client and a server that holds answers back and cuts connections, as networks do."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

CHUNK = 64 * 1024
_REQUEST_LINE = re.compile(rb"(?m)^((?:DELETE|GET|HEAD|POST|PUT) \S+) HTTP/1\.1\r$")
_LINGER = struct.pack("ii", 1, 0)  # on, for 0 seconds: a close sends RST in place of FIN (socket(7))


@dataclass(slots=True)
class Proxy:
    """A running proxy.

    Attributes:
        host: address of the server behind it.
        port: of the server behind it.
        cut_after: bytes of answers after which a connection ends; None is never.
        reset: end it by RST, as a host that went away does; else by FIN, as a server does that stops.
        address: host:port where it listens.
        cuts: connections that it ended.
        passed: bytes of answers.
        taken: bytes of questions.
        asked: method and path of each question.
        answering: while it is not set, answers are held back.
        hold_at: bytes of answers after which they are held back, once.
        held: set then.
    """

    host: str
    port: int
    cut_after: int | None
    reset: bool
    address: str = ""
    cuts: int = 0
    passed: int = 0
    taken: int = 0
    asked: list[str] = field(default_factory=list)
    answering: asyncio.Event = field(default_factory=asyncio.Event)
    hold_at: int | None = None
    held: asyncio.Event = field(default_factory=asyncio.Event)

    async def pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        server_reader, server_writer = await asyncio.open_connection(self.host, self.port)
        pumps = [
            asyncio.create_task(self._questions(reader, server_writer)),
            asyncio.create_task(self._answers(server_reader, writer)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            # Both before anything is waited for: the wait may be cancelled.
            writer.close()
            server_writer.close()
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            for side in (writer, server_writer):
                with suppress(OSError):
                    await side.wait_closed()

    async def _questions(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(CHUNK):
            self.taken += len(data)
            self.asked += [line.decode() for line in _REQUEST_LINE.findall(data)]
            writer.write(data)
            await writer.drain()

    async def _answers(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        left = self.cut_after
        while data := await reader.read(CHUNK):
            if self.hold_at is not None and self.passed > self.hold_at:
                self.hold_at = None
                self.answering.clear()
                self.held.set()
            await self.answering.wait()
            writer.write(data[:left])
            self.passed += len(data[:left])
            await writer.drain()
            if left is None:
                continue
            left = max(0, left - len(data))
            if not left:
                self.cuts += 1
                if self.reset:
                    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER)
                    writer.transport.abort()
                return


@asynccontextmanager
async def proxy(
    target: str, *, port: int = 0, cut_after: int | None = None, reset: bool = False
) -> AsyncIterator[Proxy]:
    """A proxy in front of `target` (host:port, or a URL of them) while the block runs.

    Args:
        target: the server.
        port: where to listen on 127.0.0.1; 0 takes a free one.
        cut_after: see Proxy.
        reset: see Proxy.
    """
    host, _, server_port = target.removeprefix("http://").partition(":")
    running = Proxy(host, int(server_port), cut_after, reset)
    running.answering.set()
    connections: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(running.pass_on(reader, writer))
        connections.add(task)
        task.add_done_callback(connections.discard)
        task.add_done_callback(lambda _: writer.close())  # also when it was cancelled before it began

    server = await asyncio.start_server(connected, "127.0.0.1", port)
    running.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield running
    finally:
        server.close()
        for task in tuple(connections):
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
        await server.wait_closed()


def closed_port() -> int:
    """A port of 127.0.0.1 on which nobody listens."""
    with socket.socket() as candidate:
        candidate.bind(("127.0.0.1", 0))
        number: int = candidate.getsockname()[1]
    return number
