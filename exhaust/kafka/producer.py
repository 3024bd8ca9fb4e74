"""Sending events to Kafka.

A send returns when all replicas in sync have the event. One that fails has an unknown outcome; callers send it again.
"""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from exhaust.errors import unavailable
from exhaust.kafka.connection import connection_options

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from exhaust.settings import KafkaSettings
    from schemas.events import CloudEvent

SEND_TIMEOUT: Final = timedelta(seconds=15)
CLOSE_TIMEOUT: Final = timedelta(seconds=5)
# A dead letter is the largest record that Kafka takes by default (1 MiB) and our headers.
MAX_RECORD_BYTES: Final = 2 * 1024 * 1024


class Producer:
    """A producer whose sends have a deadline.

    The driver's producer can hang for ever after an unexpected sequence number, so every failure replaces it.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._raw: AIOKafkaProducer | None = None
        self._lock = asyncio.Lock()

    async def send(self, topic: str, key: str, event: CloudEvent) -> None:
        """Send one event and wait until all replicas in sync have it.

        Raises:
            ExhaustError: SERVICE_UNAVAILABLE; whether Kafka has the event is then unknown.
        """
        await self.send_raw(topic, key.encode(), event.data, event.headers())

    async def send_raw(self, topic: str, key: bytes | None, value: bytes, headers: list[tuple[str, bytes]]) -> None:
        """Send bytes and headers as they are, as send does an event."""
        raw = None
        try:
            async with asyncio.timeout(SEND_TIMEOUT.total_seconds()):
                raw = await self._started()
                await raw.send_and_wait(topic, value, key=key, headers=headers)
        except (KafkaError, OSError, TimeoutError) as error:
            if raw is not None:
                await self._discard(raw)
            raise unavailable("Kafka") from error

    async def ping(self) -> None:
        """Raise ExhaustError SERVICE_UNAVAILABLE when Kafka does not answer."""
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT.total_seconds()):
                # Other calls may answer from what the driver remembers.
                await (await self._started()).client.fetch_all_metadata()
        except (KafkaError, OSError, TimeoutError) as error:
            raise unavailable("Kafka") from error

    async def close(self) -> None:
        """Stop after everything sent is flushed, or after CLOSE_TIMEOUT."""
        if self._raw is not None:
            await self._discard(self._raw)

    async def _started(self) -> AIOKafkaProducer:
        async with self._lock:
            if self._raw is None:
                raw = AIOKafkaProducer(
                    **connection_options(self._settings),
                    acks="all",
                    enable_idempotence=True,
                    linger_ms=2,  # lets concurrent senders share a batch
                    request_timeout_ms=SEND_TIMEOUT // timedelta(milliseconds=1),
                    max_request_size=MAX_RECORD_BYTES,
                )
                try:
                    await raw.start()
                except BaseException:
                    await raw.stop()
                    raise
                self._raw = raw
            return self._raw

    async def _discard(self, raw: AIOKafkaProducer) -> None:
        if self._raw is raw:
            self._raw = None
        with contextlib.suppress(KafkaError, OSError, TimeoutError):
            await asyncio.wait_for(raw.stop(), CLOSE_TIMEOUT.total_seconds())


@asynccontextmanager
async def open_producer(settings: KafkaSettings) -> AsyncIterator[Producer]:
    """Open a producer that connects when it is first used, and flush it at the end of the block."""
    producer = Producer(settings)
    try:
        yield producer
    finally:
        await producer.close()
