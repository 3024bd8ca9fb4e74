"""Sending events to Kafka.

A send returns when all replicas in sync have the event. One that fails has an unknown outcome; callers send it again.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    InvalidTopicError,
    MessageSizeTooLargeError,
    PolicyViolationError,
    RecordListTooLargeError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
)

from exhaust.errors import Dependency, ErrorCode, ExhaustError, unavailable
from exhaust.kafka.closing import stop_client
from exhaust.kafka.connection import DRIVER_ERRORS, connection_options
from exhaust.metrics.call_times import CallTimes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from exhaust.metrics.registry import MetricRegistry
    from exhaust.settings import KafkaSettings
    from schemas.events import CloudEvent

SEND_TIMEOUT: Final = timedelta(seconds=15)
FIND_TIMEOUT: Final = timedelta(seconds=5)
PING_TIMEOUT: Final = timedelta(seconds=5)
CLOSE_TIMEOUT: Final = timedelta(seconds=5)
# A start goes on when a send gives up: only what Kafka leaves unanswered for longer than it may take is ended.
START_TIMEOUT: Final = 2 * SEND_TIMEOUT
TOO_LARGE: Final = (MessageSizeTooLargeError, RecordListTooLargeError)
TOPIC_REFUSED: Final = (
    UnknownTopicOrPartitionError,
    TopicAuthorizationFailedError,
    ClusterAuthorizationFailedError,
    InvalidTopicError,
    PolicyViolationError,
)
# The largest that we send is a dead letter: a record of a work topic (1 MiB, see topics.py) and its headers.
MAX_RECORD_BYTES: Final = 2 * 1024 * 1024


class EventTooLargeError(ExhaustError):
    """An event with more bytes than its topic takes. Sent again, it is refused again."""


class TopicRefusedError(ExhaustError):
    """A topic that does not exist, or that we may not write to. Kafka itself answers; an operator has to mend it."""


class Producer:
    """A producer whose sends have a deadline.

    The driver's producer can hang for ever after an unexpected sequence number. So one that did not deliver what it had
    taken is replaced. The old one is closed in the background: what else it has in hand may still arrive.
    """

    def __init__(self, settings: KafkaSettings, registry: MetricRegistry | None = None) -> None:
        self._settings = settings
        self._times = CallTimes(registry, Dependency.KAFKA)
        self._starting: asyncio.Task[AIOKafkaProducer] | None = None
        self._closing: set[asyncio.Task[None]] = set()

    async def send(self, topic: str, key: str, event: CloudEvent) -> None:
        """Send one event and wait until all replicas in sync have it.

        Raises:
            ExhaustError: SERVICE_UNAVAILABLE; whether Kafka has the event is then unknown.
            TopicRefusedError: the topic does not exist, or we may not write to it.
            EventTooLargeError: the event has more bytes than the topic takes.
        """
        await self.send_raw(topic, key.encode(), event.data, event.headers())

    async def send_raw(
        self, topic: str, key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes]]
    ) -> None:
        """Send bytes and headers as they are, as send does an event."""
        try:
            async with asyncio.timeout(SEND_TIMEOUT.total_seconds()):
                raw = await self._started()
                await self._find(raw, topic)
        except DRIVER_ERRORS as error:
            raise _our_error(error, topic) from error
        taken = False
        try:
            with self._times.measure("send"):
                async with asyncio.timeout(SEND_TIMEOUT.total_seconds()):
                    delivery = await raw.send(topic, value, key=key, headers=headers)
                    taken = True
                    await delivery
        except DRIVER_ERRORS as error:
            # Whatever was taken has a sequence number, which Kafka misses from then on: even a refusal leaves doubt.
            if taken or not isinstance(error, TOO_LARGE):
                self._replace(raw)
            raise _our_error(error, topic) from error

    async def _find(self, raw: AIOKafkaProducer, topic: str) -> None:
        """Wait until the driver knows the partitions of a topic, which it asks Kafka for once."""
        if raw.client.cluster.partitions_for_topic(topic) is not None:
            return
        try:
            async with asyncio.timeout(FIND_TIMEOUT.total_seconds()):
                await raw.partitions_for(topic)
        except TimeoutError:
            # Is it the topic that is missing, or Kafka?
            async with asyncio.timeout(FIND_TIMEOUT.total_seconds()):
                known = await raw.client.fetch_all_metadata()
            if topic in known.topics():
                raise
            raise UnknownTopicOrPartitionError(topic) from None

    async def ping(self) -> None:
        """Raise ExhaustError SERVICE_UNAVAILABLE when Kafka does not answer."""
        try:
            async with asyncio.timeout(PING_TIMEOUT.total_seconds()):
                # Other calls may answer from what the driver remembers.
                await (await self._started()).client.fetch_all_metadata()
        except DRIVER_ERRORS as error:
            raise unavailable(Dependency.KAFKA) from error

    async def close(self) -> None:
        """Stop after everything sent is flushed, or after CLOSE_TIMEOUT."""
        starting, self._starting = self._starting, None
        if starting is not None:
            started = starting.done() and not starting.cancelled() and starting.exception() is None
            if started:
                self._close_later(starting.result())
            else:
                starting.cancel()
                await asyncio.wait({starting})
        await asyncio.gather(*self._closing)

    async def _started(self) -> AIOKafkaProducer:
        """Return a running producer. However many wait, one is started; nobody's deadline ends the start."""
        if self._starting is None:
            self._starting = asyncio.create_task(self._start())
            self._starting.add_done_callback(self._forget_failed_start)
        return await asyncio.shield(self._starting)

    async def _start(self) -> AIOKafkaProducer:
        raw = AIOKafkaProducer(
            **connection_options(self._settings),
            acks="all",
            enable_idempotence=True,
            linger_ms=2,  # lets concurrent senders share a batch
            request_timeout_ms=SEND_TIMEOUT // timedelta(milliseconds=1),
            max_request_size=MAX_RECORD_BYTES,
        )
        try:
            async with asyncio.timeout(START_TIMEOUT.total_seconds()):
                await raw.start()
        except BaseException:
            await stop_client(raw, timedelta(0))
            raise
        return raw

    def _forget_failed_start(self, start: asyncio.Task[AIOKafkaProducer]) -> None:
        if (start.cancelled() or start.exception() is not None) and self._starting is start:
            self._starting = None

    def _replace(self, raw: AIOKafkaProducer) -> None:
        """Have the next send start another producer, unless somebody has done so."""
        if self._starting is not None and self._starting.done() and self._starting.result() is raw:
            self._starting = None
            self._close_later(raw)

    def _close_later(self, raw: AIOKafkaProducer) -> None:
        closing = asyncio.create_task(stop_client(raw, CLOSE_TIMEOUT))
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)


def _our_error(error: Exception, topic: str) -> ExhaustError:
    if isinstance(error, TOO_LARGE):
        return EventTooLargeError(
            ErrorCode.INTERNAL_ERROR, f"an event is larger than topic {topic} takes (max.message.bytes)"
        )
    if isinstance(error, TOPIC_REFUSED):
        return TopicRefusedError(
            ErrorCode.SERVICE_UNAVAILABLE,
            f"topic {topic} does not exist, or its ACLs refuse us ({type(error).__name__}); see `exhaustctl topics`",
        )
    return unavailable(Dependency.KAFKA)


@asynccontextmanager
async def open_producer(settings: KafkaSettings, registry: MetricRegistry | None = None) -> AsyncIterator[Producer]:
    """Open a producer that connects when it is first used, and flush it at the end of the block.

    Args:
        settings: the cluster.
        registry: exports how long sends take.
    """
    producer = Producer(settings, registry)
    try:
        yield producer
    finally:
        await producer.close()
