"""A proxy in front of a Kafka broker that changes its answers."""

from __future__ import annotations

import asyncio
import struct
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final, TypeAlias

from tests.support.s3_proxy import closed_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

OFFSET_FETCH: Final = 9  # a key of Kafka's protocol
Change: TypeAlias = "Callable[[int, int, bytes], bytes]"


class KafkaProxy:
    """A running proxy.

    It says in every answer that the broker is where it listens itself, so that clients stay with it.
    """

    def __init__(self, broker: str, port: int, change: Change) -> None:
        """Prepare.

        Args:
            broker: host:port behind it.
            port: where it listens.
            change: returns what to send in place of an answer to a request of a key and version; it starts behind the
                correlation id.
        """
        self._host, _, number = broker.rpartition(":")
        self._port = int(number)
        self._change = change
        self._names = (
            self._host.encode() + struct.pack(">i", self._port),
            self._host.encode() + struct.pack(">i", port),
        )

    async def pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        broker_reader, broker_writer = await asyncio.open_connection(self._host, self._port)
        asked: dict[int, tuple[int, int]] = {}
        pumps = [
            asyncio.create_task(self._questions(reader, broker_writer, asked)),
            asyncio.create_task(self._answers(broker_reader, writer, asked)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            writer.close()
            broker_writer.close()
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)

    async def _questions(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: dict[int, tuple[int, int]]
    ) -> None:
        while frame := await _frame(reader):
            key, version, correlation = struct.unpack_from(">hhi", frame)
            asked[correlation] = (key, version)
            writer.write(struct.pack(">i", len(frame)) + frame)

    async def _answers(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: dict[int, tuple[int, int]]
    ) -> None:
        while frame := await _frame(reader):
            (correlation,) = struct.unpack_from(">i", frame)
            answer = self._change(*asked.pop(correlation), frame[4:].replace(*self._names))
            writer.write(struct.pack(">i", len(answer) + 4) + frame[:4] + answer)


async def _frame(reader: asyncio.StreamReader) -> bytes:
    with suppress(asyncio.IncompleteReadError, ConnectionError):
        (size,) = struct.unpack(">i", await reader.readexactly(4))
        return await reader.readexactly(size)
    return b""


@asynccontextmanager
async def kafka_proxy(broker: str, change: Change) -> AsyncIterator[str]:
    """Run a proxy for the duration of the block; give the host:port where it listens."""
    port = closed_port()
    proxy = KafkaProxy(broker, port, change)
    server = await asyncio.start_server(proxy.pass_on, "127.0.0.1", port)
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.close()
