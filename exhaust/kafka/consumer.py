"""Consuming a topic as a member of a consumer group.

Delivery is at least once and effects are idempotent: an offset is committed after the work on its record has finished.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import structlog
from aiokafka import ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import InvalidSessionTimeoutError

from exhaust.errors import ConfigurationError
from exhaust.kafka.closing import stop_client
from exhaust.kafka.connection import DRIVER_ERRORS, connection_options, is_broken_connection
from exhaust.kafka.dead_letter_limit import DEFECTS, MALFORMED, DeadLetterLimit
from exhaust.kafka.dead_letters import DeadLetters
from exhaust.kafka.group_consumer import GroupConsumer
from exhaust.kafka.poll_watch import PollWatch
from exhaust.kafka.positions import Positions
from exhaust.kafka.producer import CLOSE_TIMEOUT
from exhaust.kafka.reader import Reader
from exhaust.process.periodic import wait_for_event
from exhaust.process.slots import Slots

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection

    from exhaust.kafka.offsets import OffsetTracker
    from exhaust.kafka.producer import Producer
    from exhaust.kafka.reader import Reading
    from exhaust.kafka.records import Record, RejectedRecordError, RejectionCode
    from exhaust.metrics.registry import MetricRegistry
    from exhaust.process.health import Heartbeat
    from exhaust.settings import ConsumerSettings

REBALANCE_TIMEOUT: Final = timedelta(seconds=60)
RECONNECT_INTERVAL: Final = timedelta(seconds=1)
# How late a pause, a commit or a stop is noticed while nothing arrives.
POLL_INTERVAL: Final = timedelta(milliseconds=200)

log = structlog.get_logger(__name__)


class _DriverFailedError(Exception):
    """The driver's consumer cannot go on; another one can."""


class ConsumerLoop:
    """A member of a consumer group that works on several records at once.

    The loop never waits for work, so it answers a rebalance in time however long a record takes.
    """

    consumer_type: type[GroupConsumer] = GroupConsumer

    def __init__(
        self,
        settings: ConsumerSettings,
        *,
        group: str,
        topic: str,
        handle: Callable[[Record], Awaitable[None]],
        producer: Producer,
        concurrency: int | Slots,
        counted: Collection[RejectionCode] = DEFECTS | MALFORMED,
    ) -> None:
        """Prepare; run() does the work.

        Args:
            settings: the cluster.
            group: consumer group.
            topic: the topic to read.
            handle: does all that a record asks for before it returns, and retries what can be retried. A record for
                which it raises goes to the dead-letter topic.
            producer: for dead letters.
            counted: the codes of dead letters that may hold the consumer.
            concurrency: how many records are worked on at once; or the slots that `handle` leaves while it waits.
        """
        self._settings = settings
        self._group = group
        self._handle = handle
        self._dead_letters = DeadLetters(producer, group=group, topic=topic)
        self._slots = Slots(concurrency) if isinstance(concurrency, int) else concurrency
        self._limit = DeadLetterLimit(settings, topic, counted, self._slots)
        self._positions = Positions(group=group, topic=topic)
        # By tracker: a log that was replaced has other records under the same offsets.
        self._tasks: dict[tuple[OffsetTracker, int], asyncio.Task[None]] = {}
        # A group may wait for its slowest member when it is joined and when partitions are given out.
        self._poll_watch = PollWatch(2 * REBALANCE_TIMEOUT + settings.kafka_session_timeout)
        self.topic: Final = topic
        self._partitions = 0
        self._polling: asyncio.Task[Reading] | None = None

    async def run(self, stop: asyncio.Event, heartbeat: Heartbeat, drain_timeout: timedelta) -> None:
        """Consume until `stop` is set, then drain. Join again when the driver fails; work in progress goes on.

        Args:
            stop: set by SIGTERM.
            heartbeat: called at every turn of the loop.
            drain_timeout: how long work in progress may take after the stop; then it is cancelled without a commit.

        Raises:
            ConfigurationError: the brokers refuse the session timeout.
        """
        try:
            while (consumer := await self._join(stop, heartbeat)) is not None:
                placing = asyncio.create_task(self._positions.keep_placed(consumer))
                try:
                    await self._consume(consumer, placing, stop, heartbeat)
                    if stop.is_set():
                        self._slots.cancel_idle()
                    await self._drain(consumer, drain_timeout)
                except _DriverFailedError as failure:
                    self._tell(failure)
                finally:
                    await _end(placing)
                    await stop_client(consumer, CLOSE_TIMEOUT)
                    await _end(self._polling)  # not before: that would switch off the driver's watchdog
                    self._positions.leave()
                    self._partitions = 0
                await wait_for_event(stop, heartbeat=heartbeat, limit=RECONNECT_INTERVAL)
        finally:
            self._limit.stop()
            for task in self._tasks.values():
                task.cancel()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def _tell(self, failure: _DriverFailedError) -> None:
        """Log why the member joins again: a broken connection heals by itself, anything else wants a person."""
        error = failure.__cause__
        if error is not None and is_broken_connection(error):
            log.warning("kafka.connection_lost", group=self._group, topic=self.topic, error=type(error).__name__)
        else:
            log.error("kafka.consumer_failed", group=self._group, topic=self.topic, exc_info=failure)

    async def _join(self, stop: asyncio.Event, heartbeat: Heartbeat) -> GroupConsumer | None:
        """Return a consumer that has joined the group, or None after a stop. Try again while Kafka is away."""
        while not stop.is_set():
            consumer = self._new_consumer()
            # Joining waits for members that died without leaving, up to the session timeout.
            joining = asyncio.ensure_future(consumer.start())
            try:
                await self._poll_watch.wait(joining, consumer.ping, stop, heartbeat)
                if joining.done() and joining.exception() is None:
                    return consumer
            finally:
                joining.cancel()
            outcomes: list[BaseException | None] = await asyncio.gather(joining, return_exceptions=True)
            failure = outcomes[0]
            await stop_client(consumer, CLOSE_TIMEOUT)
            if isinstance(failure, InvalidSessionTimeoutError):
                raise ConfigurationError(
                    "the Kafka brokers refuse EXHAUST_KAFKA_SESSION_TIMEOUT; set it within their"
                    " group.min.session.timeout.ms and group.max.session.timeout.ms"
                ) from failure
            if failure is not None and not isinstance(failure, (*DRIVER_ERRORS, asyncio.CancelledError)):
                raise failure
            log.warning("kafka.connect_failed", group=self._group, error=type(failure).__name__)
            await wait_for_event(stop, heartbeat=heartbeat, limit=RECONNECT_INTERVAL)
        return None

    def _new_consumer(self) -> GroupConsumer:
        session = self._settings.kafka_session_timeout
        consumer = self.consumer_type(
            **connection_options(self._settings),
            group_id=self._group,
            enable_auto_commit=False,
            auto_offset_reset="none",  # where a partition is read is for Positions to say
            isolation_level="read_committed",
            session_timeout_ms=_milliseconds(session),
            heartbeat_interval_ms=_milliseconds(session / 10),
            rebalance_timeout_ms=_milliseconds(REBALANCE_TIMEOUT),
            # A class of its own: the driver keeps the last assignment on the class, for all groups of a process.
            partition_assignment_strategy=(type("StickyAssignor", (StickyPartitionAssignor,), {}),),
        )
        consumer.subscribe([self.topic], listener=_RebalanceListener(self, consumer))
        return consumer

    async def _consume(
        self, consumer: GroupConsumer, placing: asyncio.Task[None], stop: asyncio.Event, heartbeat: Heartbeat
    ) -> None:
        """Work until the stop.

        Raises:
            _DriverFailedError: the consumer cannot go on.
        """
        reader = Reader(consumer, self._positions)
        while not stop.is_set():
            heartbeat()
            free = 0 if self._limit.is_held else self._slots.free
            self._pause(consumer, paused=free <= 0)
            timeout = POLL_INTERVAL if free > 0 else POLL_INTERVAL / 10
            polling = asyncio.create_task(reader.read(timeout_ms=_milliseconds(timeout), most=max(free, 1)))
            self._polling = polling
            await self._poll_watch.wait(polling, consumer.ping, stop, heartbeat)
            if not polling.done():
                return  # it lasts as long as a rebalance
            try:
                reading = polling.result()
                if placing.done():
                    placing.result()
            except Exception as error:
                raise _DriverFailedError from error
            self._take(reading)
            await self._positions.commit(consumer)

    def _pause(self, consumer: GroupConsumer, *, paused: bool) -> None:
        placed = self._positions.placed().keys() & consumer.assignment()
        already = consumer.paused() & placed
        if paused:
            consumer.pause(*(placed - already))
        else:
            consumer.resume(*already)

    def _take(self, reading: Reading) -> None:
        """Start work on what was read, unless the partitions were revoked meanwhile: they are read again then."""
        if reading.membership != self._positions.membership:
            return
        for read in reading.records:
            tracker = self._positions.tracker(read.partition)
            if tracker.take(read.record.offset):
                self._start_work(tracker, read.record, read.problem)
            tracker.pass_to(read.following)
        for partition, position in reading.positions.items():
            self._positions.tracker(partition).pass_to(position)

    def _start_work(self, tracker: OffsetTracker, record: Record, problem: RejectedRecordError | None) -> None:
        """Start a task for a record, unless one is running: a rebalance delivers unfinished records again."""
        place = (tracker, record.offset)
        if place in self._tasks:
            return
        name = f"{record.topic}/{record.partition}/{record.offset}"
        work = self._work(record) if problem is None else self._dead_letters.send(record, problem)
        task = self._tasks[place] = asyncio.create_task(work, name=name)
        self._slots.take()
        task.add_done_callback(lambda done: self._finish_work(place, done))

    def _finish_work(self, place: tuple[OffsetTracker, int], task: asyncio.Task[None]) -> None:
        self._tasks.pop(place, None)
        self._slots.give_back()
        if not task.cancelled() and task.exception() is None:
            tracker, offset = place
            tracker.finish(offset)

    async def _work(self, record: Record) -> None:
        await self._limit.run(record, partial(self._handle, record), partial(self._dead_letters.send, record))

    async def _drain(self, consumer: GroupConsumer, drain_timeout: timedelta) -> None:
        if self._tasks:
            await asyncio.wait(self._tasks.values(), timeout=drain_timeout.total_seconds())
        await self._positions.commit(consumer, at_once=True)

    async def check(self) -> None:
        """Raise ExhaustError while this consumer holds, because too many records became dead letters."""
        await self._limit.check()

    def held(self) -> float:
        """Return 1 while this consumer holds, else 0."""
        return self._limit.held()

    def waiting_count(self) -> int:
        """Return how many records wait: for a server that is away, or for their next try."""
        return self._slots.idle

    def partition_count(self) -> int:
        """Return how many of the topic's partitions this member reads at the moment."""
        return self._partitions

    def count(self, registry: MetricRegistry) -> None:
        """Count dead letters by code, offset resets by reason, holds and commits from now on."""
        self._limit.count(registry)
        self._dead_letters.count(registry)
        self._positions.count(registry)

    def on_assigned(self, consumer: GroupConsumer, assigned: Collection[TopicPartition]) -> None:
        """Take over the partitions that a rebalance gave. They are read as soon as it is known from where."""
        self._partitions = len(assigned)
        self._poll_watch.restart()
        self._positions.assign(consumer, assigned)

    async def on_revoked(self, consumer: GroupConsumer) -> None:
        """Commit finished work before a rebalance takes the partitions away. Running tasks go on and commit nothing.

        The driver calls this before it joins the new generation, while the old one may still commit.
        """
        self._partitions = 0
        self._poll_watch.restart()
        await self._positions.revoke(consumer)


class _RebalanceListener(ConsumerRebalanceListener):  # type: ignore[misc]  # the driver is untyped
    def __init__(self, loop: ConsumerLoop, consumer: GroupConsumer) -> None:
        self._loop = loop
        self._consumer = consumer

    async def on_partitions_revoked(self, _revoked: set[TopicPartition]) -> None:
        await self._loop.on_revoked(self._consumer)

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        self._loop.on_assigned(self._consumer, assigned)


async def _end(task: asyncio.Task[Any] | None) -> None:
    if task is not None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _milliseconds(duration: timedelta) -> int:
    return duration // timedelta(milliseconds=1)
