"""Where a member of a group reads its partitions, and how far it commits.

A partition is read only from where it is known to be safe: from the greatest offset that Kafka says was committed, or
that this process knows was. While Kafka cannot say, the partition waits and Kafka is asked again. No commit goes back:
each one is made as the member that read the records, which Kafka checks, and is compared with what is known here.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import structlog

from exhaust.errors import Dependency
from exhaust.kafka.connection import DRIVER_ERRORS
from exhaust.kafka.offsets import OffsetTracker
from exhaust.metrics.call_times import CallTimes
from exhaust.metrics.catalogue import LAST_SUCCESS, OFFSET_RESETS
from exhaust.process.failpoints import failpoint

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from aiokafka import TopicPartition
    from prometheus_client import Counter, Gauge

    from exhaust.kafka.group_consumer import GroupConsumer, Membership
    from exhaust.metrics.registry import MetricRegistry

REQUEST_TIMEOUT: Final = timedelta(seconds=10)
FIRST_PAUSE, LONGEST_PAUSE = timedelta(milliseconds=100), timedelta(seconds=5)
COMMIT_PAUSE: Final = timedelta(seconds=0.5)  # after one that failed
# An old commit that the network held back may arrive after a later one, so what Kafka knows is looked at now and then.
CHECK_INTERVAL: Final = timedelta(seconds=30)
CHECK_AFTER_DOUBT: Final = timedelta(seconds=1)
# A new leader may know less than its log holds for a moment; a log that was cut stays so.
LOOKS_AT_A_SHORT_LOG: Final = 3
LOOK_INTERVAL: Final = timedelta(seconds=1)
LOG_START: Final = -1

log = structlog.get_logger(__name__)


class OffsetReset(StrEnum):
    """The reason why a partition is read from another offset than Kafka or the last record says.

    Attributes:
        REWOUND: Kafka knows a lower offset than was committed; the greater one holds.
        EXPIRED: records went from the log before they were read; reading goes on at its beginning.
        TRUNCATED: the log ends before what was read from it; it is read from its beginning.
    """

    REWOUND = "rewound"
    EXPIRED = "expired"
    TRUNCATED = "truncated"


class Positions:
    """The partitions of one member, over all of its assignments."""

    def __init__(self, *, group: str, topic: str) -> None:
        self._group = group
        self._topic = topic
        self._trackers: defaultdict[TopicPartition, OffsetTracker] = defaultdict(OffsetTracker)
        self._membership: Membership | None = None
        self._unplaced: set[TopicPartition] = set()
        self._looks: dict[TopicPartition, int] = {}  # at a log in which the position is out of range
        self._committing = asyncio.Lock()
        self._next_commit = 0.0
        self._wake = asyncio.Event()
        self._check_after = CHECK_INTERVAL
        self._resets: Counter | None = None
        self._last_commit: Gauge | None = None
        self._times = CallTimes(None, Dependency.KAFKA)

    @property
    def membership(self) -> Membership | None:
        """The assignment to which positions belong at the moment; None between a revocation and an assignment."""
        return self._membership

    def tracker(self, partition: TopicPartition) -> OffsetTracker:
        """Return the tracker of a partition. A log that was replaced gets a new one."""
        return self._trackers[partition]

    def placed(self) -> dict[TopicPartition, int]:
        """Return where each partition is read whose position is known."""
        return {
            partition: tracker.position
            for partition, tracker in self._trackers.items()
            if tracker.position is not None and partition not in self._unplaced
        }

    def assign(self, consumer: GroupConsumer, assigned: Collection[TopicPartition]) -> None:
        """Begin an assignment: hold its partitions until they are placed.

        The driver asks for no position of its own, because each partition gets one here, before its first request.
        """
        self.leave()
        self._membership = consumer.membership()
        self._unplaced = set(assigned)
        for partition in assigned:
            consumer.pause(partition)
            consumer.seek(partition, self._trackers[partition].floor or 0)
        self._wake.set()

    async def revoke(self, consumer: GroupConsumer) -> None:
        """End an assignment: commit what is finished, and release all partitions."""
        membership, self._membership = self._membership, None
        if membership is not None:
            await self._commit(consumer, membership)
        self.leave()

    def leave(self) -> None:
        """End an assignment without a commit."""
        self._membership = None
        self._unplaced.clear()
        self._looks.clear()
        for tracker in self._trackers.values():
            tracker.release()

    async def commit(self, consumer: GroupConsumer, *, at_once: bool = False) -> None:
        """Commit what is finished, each partition as far as it goes. One that Kafka refuses keeps no other back.

        Args:
            consumer: the member.
            at_once: commit also when the last commit has just failed.
        """
        if self._membership is not None and (at_once or time.monotonic() >= self._next_commit):
            await self._commit(consumer, self._membership)

    async def _commit(self, consumer: GroupConsumer, membership: Membership) -> None:
        async with self._committing:
            found = {partition: tracker.next_offset() for partition, tracker in self._trackers.items()}
            offsets = {partition: offset for partition, offset in found.items() if offset is not None}
            if not offsets:
                return
            trackers = {partition: self._trackers[partition] for partition in offsets}
            failpoint("consumer.before_commit")
            try:
                async with asyncio.timeout(REQUEST_TIMEOUT.total_seconds()):
                    with self._times.measure("commit"):
                        outcomes = await consumer.commit_offsets(membership, offsets)
            except DRIVER_ERRORS as error:
                # The records may come again; their effects are idempotent.
                self._tell_commit_failed(type(error).__name__, offsets)
                self._check_after = CHECK_AFTER_DOUBT
                self._wake.set()
                return
        failpoint("consumer.after_commit")
        refused: defaultdict[str, list[TopicPartition]] = defaultdict(list)
        for partition, refusal in outcomes.items():
            if refusal is None:
                trackers[partition].confirm(offsets[partition])
            else:
                refused[type(refusal).__name__].append(partition)
        for name, partitions in refused.items():
            self._tell_commit_failed(name, partitions)
        if self._last_commit is not None and not refused:
            self._last_commit.set_to_current_time()

    def _tell_commit_failed(self, error: str, partitions: Collection[TopicPartition]) -> None:
        numbers = sorted(partition.partition for partition in partitions)
        log.warning("kafka.commit_failed", group=self._group, topic=self._topic, partitions=numbers, error=error)
        self._next_commit = time.monotonic() + COMMIT_PAUSE.total_seconds()

    def hold(self, consumer: GroupConsumer, partition: TopicPartition) -> None:
        """Read no further in a partition whose position Kafka says is out of range, until it is placed again."""
        if partition in self.placed():
            consumer.pause(partition)
            self._unplaced.add(partition)
            self._looks[partition] = 0
            self._wake.set()

    async def keep_placed(self, consumer: GroupConsumer) -> None:
        """Place partitions as they are assigned, and compare what Kafka knows with what was committed; never return."""
        pause = FIRST_PAUSE
        while True:
            try:
                async with asyncio.timeout(REQUEST_TIMEOUT.total_seconds()):
                    await (self._place(consumer) if self._unplaced else self._check(consumer))
            except DRIVER_ERRORS as error:
                log.warning("kafka.offsets_unknown", group=self._group, topic=self._topic, error=type(error).__name__)
            if self._unplaced:
                await asyncio.sleep((LOOK_INTERVAL if self._looks else pause).total_seconds())
                pause = min(pause * 2, LONGEST_PAUSE)
            else:
                pause = FIRST_PAUSE
                await self._wait_for_news()

    async def _wait_for_news(self) -> None:
        """Wait until partitions are to be placed, or it is time for a check."""
        while not self._unplaced:
            self._wake.clear()
            limit, self._check_after = self._check_after, CHECK_INTERVAL
            try:
                async with asyncio.timeout(limit.total_seconds()):
                    await self._wake.wait()
            except TimeoutError:
                return

    async def _place(self, consumer: GroupConsumer) -> None:
        """Place what can be placed. Partitions of which Kafka says nothing clear stay as they are."""
        membership, looked = self._membership, set(self._looks)
        starts: dict[TopicPartition, int] = {}
        if assigned := self._unplaced - looked:
            for partition, committed in (await consumer.committed_offsets(assigned)).items():
                starts[partition] = self._trusted(partition, committed)
            fresh = [partition for partition, start in starts.items() if start == LOG_START]
            starts |= await consumer.beginning_offsets(fresh) if fresh else {}
        beginnings = await consumer.beginning_offsets(looked) if looked else {}
        ends = await consumer.end_offsets(looked) if looked else {}
        if membership != self._membership or membership is None:
            return  # the answers are about partitions that may be another member's now
        for partition, start in starts.items():
            self._seek(consumer, partition, self._trackers[partition].start_at(start))
        for partition, beginning in beginnings.items():
            self._look(consumer, partition, beginning, ends[partition])

    def _trusted(self, partition: TopicPartition, committed: int | None) -> int:
        """Return where to start in view of what Kafka says was committed."""
        tracker = self._trackers[partition]
        if tracker.floor is not None and (committed is None or committed < tracker.floor):
            self._tell_reset(OffsetReset.REWOUND, partition, kafka=committed, used=tracker.floor)
            tracker.rewind()
            return tracker.floor
        if committed is None:
            return LOG_START
        tracker.confirm(committed)
        return committed

    def _look(self, consumer: GroupConsumer, partition: TopicPartition, beginning: int, end: int) -> None:
        """Place a partition whose position Kafka said is out of range, once it is clear why."""
        tracker = self._trackers[partition]
        position = tracker.position or 0
        if position < beginning:
            self._tell_reset(OffsetReset.EXPIRED, partition, position=position, used=beginning)
            tracker.pass_to(beginning)
        elif position > end:
            self._looks[partition] += 1
            if self._looks[partition] < LOOKS_AT_A_SHORT_LOG:
                return
            # Which of its records are new is not to be known. To read all of them again is safe, to skip any is not.
            self._tell_reset(OffsetReset.TRUNCATED, partition, position=position, end=end, used=beginning)
            tracker = self._trackers[partition] = OffsetTracker()
            tracker.start_at(beginning)
        self._seek(consumer, partition, tracker.position or 0)

    def _seek(self, consumer: GroupConsumer, partition: TopicPartition, position: int) -> None:
        consumer.seek(partition, position)
        consumer.resume(partition)  # the poll that is under way shall see it; the next turn of the loop decides again
        self._unplaced.discard(partition)
        self._looks.pop(partition, None)

    async def _check(self, consumer: GroupConsumer) -> None:
        """Compare what Kafka knows with what was committed; the next commit repeats what it forgot."""
        placed = self.placed()
        floors = {partition: floor for partition in placed if (floor := self._trackers[partition].floor) is not None}
        committed: Mapping[TopicPartition, int | None] = await consumer.committed_offsets(floors) if floors else {}
        for partition, offset in committed.items():
            tracker, floor = self._trackers[partition], floors[partition]
            if offset is not None and offset >= floor:
                tracker.confirm(offset)
            elif tracker.position is not None:
                self._tell_reset(OffsetReset.REWOUND, partition, kafka=offset, used=floor)
                tracker.rewind()

    def _tell_reset(self, reason: OffsetReset, partition: TopicPartition, **numbers: int | None) -> None:
        place = {"group": self._group, "topic": partition.topic, "partition": partition.partition}
        event = f"kafka.offsets_{reason}"
        log.error(event, **place, **numbers)
        if self._resets is not None:
            self._resets.labels(self._topic, reason).inc()

    def count(self, registry: MetricRegistry) -> None:
        """Count resets from now on, by reason, and measure commits."""
        self._resets = registry.counter(OFFSET_RESETS, [(self._topic, reason) for reason in OffsetReset])
        self._last_commit = registry.gauge(LAST_SUCCESS).labels(f"commits {self._topic}")
        self._times = CallTimes(registry, Dependency.KAFKA)
