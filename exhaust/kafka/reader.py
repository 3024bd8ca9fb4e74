"""The reading of a member's partitions, also where the driver fails at what lies in them."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import structlog
from aiokafka.errors import (
    CorruptRecordException,
    KafkaError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
    RecordTooLargeError,
    UnsupportedCodecError,
)

from exhaust.kafka.connection import DRIVER_ERRORS
from exhaust.kafka.record_batches import read_next_batch
from exhaust.kafka.records import Record, RejectedRecordError, RejectionCode

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from aiokafka import ConsumerRecord, TopicPartition

    from exhaust.kafka.group_consumer import GroupConsumer, Membership
    from exhaust.kafka.positions import Positions
    from exhaust.kafka.record_batches import FoundRecord

RAW_TIMEOUT: Final = timedelta(seconds=10)
SUSPECT_WAIT: Final = timedelta(milliseconds=50)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ReadRecord:
    """A record that was read.

    Attributes:
        partition: it lies there.
        record: as much of it as can be read.
        following: the offset to read next.
        problem: why it cannot be worked on; None for a record like any other.
    """

    partition: TopicPartition
    record: Record
    following: int
    problem: RejectedRecordError | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read for one assignment, and how far.

    Attributes:
        membership: the assignment. Under any other the records mean nothing.
        records: in the order of their partitions.
        positions: the offset to read next, also where no record came before it.
    """

    membership: Membership | None
    records: list[ReadRecord] = field(default_factory=list)
    positions: Mapping[TopicPartition, int] = field(default_factory=dict)


class Reader:
    """Reads what comes next in the partitions of a member.

    When a poll fails at a record, the driver does not say where. The partitions are then polled one by one and record
    by record, so that the one which fails is known and nothing before the fault is lost; there the batch is read
    without the driver.
    """

    def __init__(self, consumer: GroupConsumer, positions: Positions) -> None:
        self._consumer = consumer
        self._positions = positions
        self._suspects: deque[TopicPartition] = deque()
        self._left: tuple[Membership, deque[ReadRecord]] | None = None

    async def read(self, *, timeout_ms: int, most: int) -> Reading:
        """Return at most so many records, after at most so long.

        Raises:
            Exception: the driver cannot go on.
        """
        if self._left is not None:
            return self._read_left(most)
        self._align()
        suspect = self._next_suspect()
        try:
            if suspect is None:
                poll = await self._consumer.poll(timeout_ms=timeout_ms, max_records=most)
            else:
                poll = await self._consumer.poll(
                    suspect, timeout_ms=SUSPECT_WAIT // timedelta(milliseconds=1), max_records=1
                )
        except OffsetOutOfRangeError as error:
            for partition in error.args[0]:
                self._positions.hold(self._consumer, partition)
        except NoOffsetForPartitionError:
            log.debug("kafka.no_position")  # it is being placed
        except Exception as error:
            if not is_about_a_record(error):
                raise
            if suspect is None:
                self._suspects.extend(self._positions.placed())
            else:
                return await self._read_raw(suspect, error, most)
        else:
            return Reading(poll.membership, list(records_of_poll(poll.records)), poll.positions)
        return Reading(self._positions.membership)

    def _align(self) -> None:
        """Let the driver stand where the positions say. A poll that failed has lost records that it had passed."""
        stands = self._consumer.positions()
        for partition, position in self._positions.placed().items():
            if stands.get(partition, position) != position:
                self._consumer.seek(partition, position)

    def _next_suspect(self) -> TopicPartition | None:
        placed = self._positions.placed()
        while self._suspects:
            suspect = self._suspects.popleft()
            if suspect in placed:
                self._suspects.append(suspect)
                return suspect
        return None

    async def _read_raw(self, partition: TopicPartition, error: Exception, most: int) -> Reading:
        """Read the batch at which the driver failed.

        Raises:
            Exception: there is nothing that explains the failure.
        """
        membership, position = self._positions.membership, self._positions.placed().get(partition)
        if membership is None or position is None:
            return Reading(membership)
        try:
            async with asyncio.timeout(RAW_TIMEOUT.total_seconds()):
                raw = await self._consumer.fetch_raw(partition, position)
        except DRIVER_ERRORS as failure:
            log.warning("kafka.fetch_failed", partition=partition.partition, error=type(failure).__name__)
            return Reading(membership)
        batch = read_next_batch(raw.data, position, raw.aborted)
        if batch is None:
            raise error
        self._suspects.clear()
        read = [record_of_found(partition, found) for found in batch.records]
        for item in read:
            if item.problem is not None:
                log.error(
                    "kafka.unreadable",
                    topic=partition.topic,
                    partition=partition.partition,
                    offset=item.record.offset,
                    following=item.following,
                    error=str(item.problem),
                    driver=type(error).__name__,
                )
        if not read:
            return Reading(membership, positions={partition: batch.following})
        read[-1] = ReadRecord(partition, read[-1].record, batch.following, read[-1].problem)
        self._left = (membership, deque(read))
        return self._read_left(most)

    def _read_left(self, most: int) -> Reading:
        if self._left is None:
            return Reading(self._positions.membership)
        membership, left = self._left
        records = [left.popleft() for _ in range(min(most, len(left)))]
        if not left or membership != self._positions.membership:
            self._left = None
        return Reading(membership, records)


def is_about_a_record(error: Exception) -> bool:
    """Return False for what the driver says of the cluster or the group, which no other way of reading helps."""
    return not isinstance(error, KafkaError) or isinstance(
        error, CorruptRecordException | UnsupportedCodecError | RecordTooLargeError
    )


def records_of_poll(polled: Mapping[TopicPartition, list[ConsumerRecord]]) -> Iterable[ReadRecord]:
    """Yield what the driver returned, as records of ours."""
    for partition, messages in polled.items():
        for message in messages:
            yield ReadRecord(
                partition,
                Record(
                    message.topic,
                    message.partition,
                    message.offset,
                    message.key,
                    message.value or b"",
                    tuple(message.headers),
                    tombstone=message.value is None,
                    written_at=_time(message.timestamp),
                ),
                message.offset + 1,
            )


def _time(milliseconds: int) -> datetime | None:
    try:
        return None if milliseconds < 0 else datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (ValueError, OverflowError, OSError):  # whoever sent the record may have written anything
        return None


def record_of_found(partition: TopicPartition, found: FoundRecord) -> ReadRecord:
    """Return what was read without the driver, with the reason when it cannot be worked on."""
    record = Record(
        partition.topic,
        partition.partition,
        found.offset,
        found.key,
        found.value or b"",
        found.headers,
        tombstone=found.value is None,
    )
    problem = None
    if found.problem:
        offsets = (
            f"offset {found.offset}"
            if found.following <= found.offset + 1
            else (f"offsets {found.offset} to {found.following - 1}")
        )
        problem = RejectedRecordError(RejectionCode.UNREADABLE, f"{offsets}: {found.problem}")
    return ReadRecord(partition, record, found.following, problem)
