"""Reading a topic without a group, from an offset to another: nobody's position changes."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from aiokafka import TopicPartition
from aiokafka.errors import OffsetOutOfRangeError

from exhaust.errors import Dependency, unavailable
from exhaust.kafka.closing import stop_client
from exhaust.kafka.connection import DRIVER_ERRORS, connection_options
from exhaust.kafka.group_consumer import GroupConsumer
from exhaust.kafka.producer import CLOSE_TIMEOUT, MAX_RECORD_BYTES
from exhaust.kafka.reader import is_about_a_record, record_of_found, records_of_poll
from exhaust.kafka.record_batches import read_next_batch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence

    from exhaust.kafka.records import Record
    from exhaust.settings import KafkaSettings

START_TIMEOUT: Final = timedelta(seconds=5)
SILENCE: Final = timedelta(seconds=15)  # of a broker that should send more
_AT_ONCE: Final = 500
_POLL_MS: Final = 500
_FETCH_WAIT_MS: Final = 20
_GAP: Final = 500  # offsets that are read rather than passed over


class Bounds(NamedTuple):
    """What a partition holds: from an offset on, and up to another, which it does not have yet."""

    first: int
    end: int


class TopicReader:
    """Reads records of any topic, for one caller at a time.

    Every method raises ExhaustError SERVICE_UNAVAILABLE when Kafka does not answer.
    """

    def __init__(self, consumer: GroupConsumer) -> None:
        self._consumer = consumer
        self._assigned: TopicPartition | None = None

    async def bounds(self, topic: str) -> dict[int, Bounds]:
        """Return what each partition of a topic holds; nothing when there is no such topic."""
        with _our_errors():
            async with asyncio.timeout(SILENCE.total_seconds()):
                partitions = await self._consumer.partitions_of(topic)
                places = [TopicPartition(topic, partition) for partition in sorted(partitions)]
                firsts = await self._consumer.beginning_offsets(places)
                ends = await self._consumer.end_offsets(places)
        return {place.partition: Bounds(firsts[place], ends[place]) for place in places}

    async def read(self, topic: str, partition: int, *, start: int, end: int) -> AsyncIterator[list[Record]]:
        """Read the records of a partition from an offset to another; what cannot be read is as in a dead letter."""
        place, position, moved = TopicPartition(topic, partition), start, time.monotonic()
        with _our_errors():
            self._go_to(place, position)
            while position < end:
                records, following = await self._next(place, position)
                if following > position:
                    position, moved = following, time.monotonic()
                elif time.monotonic() - moved > SILENCE.total_seconds():
                    raise TimeoutError
                if records:
                    yield [record for record in records if record.offset < end]

    async def read_one(self, topic: str, partition: int, offset: int) -> Record | None:
        """Return the record at an offset, or None when Kafka has none there."""
        return (await self.read_some(topic, {partition: [offset]})).get((partition, offset))

    async def read_some(self, topic: str, wanted: Mapping[int, Collection[int]]) -> dict[tuple[int, int], Record]:
        """Return the records at some offsets of partitions, as far as Kafka has them, by partition and offset."""
        bounds = await self.bounds(topic)
        found: dict[tuple[int, int], Record] = {}
        for partition, offsets in wanted.items():
            first, end = bounds.get(partition, Bounds(0, 0))
            there = {offset for offset in offsets if first <= offset < end}
            for start, stop in _ranges(sorted(there)):
                async for records in self.read(topic, partition, start=start, end=stop):
                    found |= {(partition, record.offset): record for record in records if record.offset in there}
        return found

    def _go_to(self, place: TopicPartition, position: int) -> None:
        if self._assigned != place:
            self._consumer.assign([place])
            self._assigned = place
        self._consumer.seek(place, position)

    async def _next(self, place: TopicPartition, position: int) -> tuple[list[Record], int]:
        """Return the records at a position, and the position after them."""
        try:
            polled = await self._consumer.getmany(place, timeout_ms=_POLL_MS, max_records=_AT_ONCE)
        except OffsetOutOfRangeError:  # the retention took it meanwhile
            first = (await self._consumer.beginning_offsets([place]))[place]
            following = max(first, position + 1)
            self._consumer.seek(place, following)
            return [], following
        except Exception as error:
            if not is_about_a_record(error):
                raise
            return await self._next_raw(place, position, error)
        return [read.record for read in records_of_poll(polled)], self._consumer.positions().get(place, position)

    async def _next_raw(self, place: TopicPartition, position: int, error: Exception) -> tuple[list[Record], int]:
        """Read the batch at which the driver fails."""
        raw = await self._consumer.fetch_raw(place, position)
        batch = read_next_batch(raw.data, position, raw.aborted)
        if batch is None:
            raise error
        self._consumer.seek(place, batch.following)
        return [record_of_found(place, found).record for found in batch.records], batch.following


@asynccontextmanager
async def open_topic_reader(settings: KafkaSettings) -> AsyncIterator[TopicReader]:
    """Open a reader for the time of the block.

    Raises:
        ExhaustError: SERVICE_UNAVAILABLE when Kafka does not answer.
    """
    consumer = GroupConsumer(
        **connection_options(settings),
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="none",
        isolation_level="read_committed",
        max_partition_fetch_bytes=2 * MAX_RECORD_BYTES,
        # A fetch that waits at the end of a partition holds up those of others.
        fetch_max_wait_ms=_FETCH_WAIT_MS,
    )
    try:
        with _our_errors():
            async with asyncio.timeout(START_TIMEOUT.total_seconds()):
                await consumer.start()
        yield TopicReader(consumer)
    finally:
        await stop_client(consumer, CLOSE_TIMEOUT)


def _ranges(offsets: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield ranges that hold all offsets, which are sorted, and no large gap between them."""
    start = 0
    for number, offset in enumerate(offsets):
        if number + 1 == len(offsets) or offsets[number + 1] - offset > _GAP:
            yield offsets[start], offset + 1
            start = number + 1


@contextmanager
def _our_errors() -> Iterator[None]:
    try:
        yield
    except DRIVER_ERRORS as error:
        raise unavailable(Dependency.KAFKA) from error
