"""Consuming a topic as a member of a consumer group.

Delivery is at least once and effects are idempotent: an offset is committed after the work on its record has finished.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import InvalidSessionTimeoutError, KafkaError
from prometheus_client import Counter, Gauge

from exhaust.errors import ConfigurationError
from exhaust.kafka.closing import stop_client
from exhaust.kafka.connection import connection_options
from exhaust.kafka.dead_letters import DeadLetters
from exhaust.kafka.offsets import OffsetTracker
from exhaust.kafka.producer import CLOSE_TIMEOUT
from exhaust.kafka.records import Record
from exhaust.process.failpoints import failpoint
from exhaust.process.periodic import BEAT_INTERVAL, wait_for_event, wait_for_first

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection

    from aiokafka import ConsumerRecord
    from prometheus_client import CollectorRegistry

    from exhaust.kafka.producer import Producer
    from exhaust.process.health import Heartbeat
    from exhaust.settings import ConsumerSettings

REBALANCE_TIMEOUT: Final = timedelta(seconds=60)
RECONNECT_INTERVAL: Final = timedelta(seconds=1)
COMMIT_TIMEOUT: Final = timedelta(seconds=10)
# How late a pause, a commit or a stop is noticed while nothing arrives.
POLL_INTERVAL: Final = timedelta(milliseconds=200)

log = structlog.get_logger(__name__)


class ConsumerLoop:
    """A member of a consumer group that works on several records at once.

    The loop never waits for work, so it answers a rebalance in time however long a record takes.
    """

    def __init__(
        self,
        settings: ConsumerSettings,
        *,
        group: str,
        topic: str,
        handle: Callable[[Record], Awaitable[None]],
        producer: Producer,
        concurrency: int,
    ) -> None:
        """Prepare; run() does the work.

        Args:
            settings: the cluster.
            group: consumer group.
            topic: the topic to read.
            handle: does all that a record asks for before it returns, and retries what can be retried. A record for
                which it raises goes to the dead-letter topic.
            producer: for dead letters.
            concurrency: how many records are worked on at once.
        """
        self._settings = settings
        self._group = group
        self._handle = handle
        self._dead_letters = DeadLetters(producer, group=group, topic=topic)
        self._concurrency = concurrency
        self._trackers: dict[TopicPartition, OffsetTracker] = {}
        self._tasks: dict[tuple[TopicPartition, int], asyncio.Task[None]] = {}
        self.topic: Final = topic
        self._partitions = 0

    async def run(self, stop: asyncio.Event, heartbeat: Heartbeat, drain_timeout: timedelta) -> None:
        """Consume until `stop` is set, then drain.

        Args:
            stop: set by SIGTERM.
            heartbeat: called at every turn of the loop.
            drain_timeout: how long work in progress may take after the stop; then it is cancelled without a commit.

        Raises:
            ConfigurationError: the brokers refuse the session timeout.
        """
        consumer = await self._join(stop, heartbeat)
        if consumer is None:
            return
        try:
            while not stop.is_set():
                heartbeat()
                await self._poll_once(consumer, stop, heartbeat)
            await self._drain(consumer, drain_timeout)
        finally:
            for task in self._tasks.values():
                task.cancel()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)
            await stop_client(consumer, CLOSE_TIMEOUT)

    async def _join(self, stop: asyncio.Event, heartbeat: Heartbeat) -> AIOKafkaConsumer | None:
        """Return a consumer that has joined the group, or None after a stop. Try again while Kafka is away."""
        while not stop.is_set():
            consumer = self._new_consumer()
            # Joining waits for members that died without leaving, up to the session timeout.
            joining = asyncio.ensure_future(consumer.start())
            stopping = asyncio.ensure_future(stop.wait())
            try:
                await wait_for_first((joining, stopping), heartbeat=heartbeat)
                if joining.done() and joining.exception() is None:
                    return consumer
            finally:
                stopping.cancel()
                joining.cancel()
            outcomes: list[BaseException | None] = await asyncio.gather(joining, return_exceptions=True)
            failure = outcomes[0]
            await stop_client(consumer, CLOSE_TIMEOUT)
            if isinstance(failure, InvalidSessionTimeoutError):
                raise ConfigurationError(
                    "the Kafka brokers refuse EXHAUST_KAFKA_SESSION_TIMEOUT; set it within their"
                    " group.min.session.timeout.ms and group.max.session.timeout.ms"
                ) from failure
            if failure is not None and not isinstance(failure, KafkaError | OSError | asyncio.CancelledError):
                raise failure
            log.warning("kafka.connect_failed", group=self._group, error=type(failure).__name__)
            await wait_for_event(stop, heartbeat=heartbeat, limit=RECONNECT_INTERVAL)
        return None

    def _new_consumer(self) -> AIOKafkaConsumer:
        session = self._settings.kafka_session_timeout
        consumer = AIOKafkaConsumer(
            **connection_options(self._settings),
            group_id=self._group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=_milliseconds(session),
            heartbeat_interval_ms=_milliseconds(session / 10),
            rebalance_timeout_ms=_milliseconds(REBALANCE_TIMEOUT),
            # A class of its own: the driver keeps the last assignment on the class, for all groups of a process.
            partition_assignment_strategy=(type("StickyAssignor", (StickyPartitionAssignor,), {}),),
        )
        consumer.subscribe([self.topic], listener=_RebalanceListener(self, consumer))
        return consumer

    async def _poll_once(self, consumer: AIOKafkaConsumer, stop: asyncio.Event, heartbeat: Heartbeat) -> None:
        """Poll once, start work on what came, and commit what has finished."""
        free = self._concurrency - len(self._tasks)
        self._pause(consumer, paused=free <= 0)
        timeout = POLL_INTERVAL if free > 0 else POLL_INTERVAL / 10
        polling = asyncio.ensure_future(consumer.getmany(timeout_ms=_milliseconds(timeout), max_records=max(free, 1)))
        # A poll lasts as long as a rebalance. It is not cancelled, since that would switch off the driver's watchdog:
        # after a stop it ends when the consumer is stopped.
        while not polling.done() and not stop.is_set():
            await wait_for_first({polling}, heartbeat=heartbeat, limit=BEAT_INTERVAL)
        if not polling.done():
            polling.add_done_callback(lambda left: left.cancelled() or left.exception())
            return
        for partition, messages in polling.result().items():
            tracker = self._trackers.setdefault(partition, OffsetTracker())
            for message in messages:
                tracker.start(message.offset)
                self._start_work(partition, message.offset, _to_record(message))
        await self._commit(consumer)

    def _pause(self, consumer: AIOKafkaConsumer, *, paused: bool) -> None:
        assigned = consumer.assignment()
        already = consumer.paused() & assigned
        if paused:
            consumer.pause(*(assigned - already))
        else:
            consumer.resume(*already)

    def _start_work(self, partition: TopicPartition, offset: int, record: Record) -> None:
        """Start a task for a record, unless one is running: a rebalance delivers unfinished records again."""
        if (partition, offset) in self._tasks:
            return
        task = asyncio.create_task(self._work(record), name=f"{record.topic}/{record.partition}/{offset}")
        self._tasks[partition, offset] = task
        task.add_done_callback(lambda done: self._finish_work(partition, offset, done))

    def _finish_work(self, partition: TopicPartition, offset: int, task: asyncio.Task[None]) -> None:
        self._tasks.pop((partition, offset), None)
        # Work on a partition that was lost meanwhile has no tracker: the new owner repeats it, which does no harm.
        tracker = self._trackers.get(partition)
        if tracker is not None and not task.cancelled() and task.exception() is None:
            tracker.finish(offset)

    async def _work(self, record: Record) -> None:
        try:
            await self._handle(record)
        except Exception as error:  # noqa: BLE001 -- whatever a handler lets out must not stop the partition
            await self._dead_letters.send(record, error)

    async def _commit(self, consumer: AIOKafkaConsumer) -> None:
        offsets = {
            partition: offset
            for partition, tracker in self._trackers.items()
            if (offset := tracker.next_offset()) is not None
        }
        if not offsets:
            return
        failpoint("consumer.before_commit")
        try:
            async with asyncio.timeout(COMMIT_TIMEOUT.total_seconds()):
                await consumer.commit(offsets)
            failpoint("consumer.after_commit")
            for partition, offset in offsets.items():
                if partition in self._trackers:
                    self._trackers[partition].forget_before(offset)
        except (KafkaError, TimeoutError, OSError) as error:
            # The records may come again; their effects are idempotent.
            log.warning("kafka.commit_failed", group=self._group, error=type(error).__name__)

    async def _drain(self, consumer: AIOKafkaConsumer, drain_timeout: timedelta) -> None:
        if self._tasks:
            await asyncio.wait(self._tasks.values(), timeout=drain_timeout.total_seconds())
        await self._commit(consumer)

    def partition_count(self) -> int:
        """Return how many of the topic's partitions this member reads at the moment."""
        return self._partitions

    def count_dead_letters(self, counter: Counter) -> None:
        """Count dead letters from now on, by topic and code."""
        self._dead_letters.count(counter)

    def on_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """Count the partitions that a rebalance gave. The next poll pauses or resumes them."""
        self._partitions = len(assigned)

    async def on_revoked(self, consumer: AIOKafkaConsumer) -> None:
        """Commit finished work before a rebalance takes the partitions away. Running tasks go on and commit nothing.

        The driver calls this before it joins the new generation, while the old one may still commit.
        """
        self._partitions = 0
        await self._commit(consumer)
        self._trackers.clear()


class _RebalanceListener(ConsumerRebalanceListener):  # type: ignore[misc]  # the driver is untyped
    def __init__(self, loop: ConsumerLoop, consumer: AIOKafkaConsumer) -> None:
        self._loop = loop
        self._consumer = consumer

    async def on_partitions_revoked(self, _revoked: set[TopicPartition]) -> None:
        await self._loop.on_revoked(self._consumer)

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        self._loop.on_assigned(assigned)


def _to_record(message: ConsumerRecord) -> Record:
    return Record(
        message.topic, message.partition, message.offset, message.key, message.value or b"", tuple(message.headers)
    )


def _milliseconds(duration: timedelta) -> int:
    return duration // timedelta(milliseconds=1)


def publish_consumer_metrics(registry: CollectorRegistry, *loops: ConsumerLoop) -> None:
    """Add the metrics of consumers: the partitions that they read at the moment, and their dead letters by code."""
    partitions = Gauge("exhaust_partitions", "Partitions that this process reads.", ["topic"], registry=registry)
    dead_letters = Counter(
        "exhaust_dead_letters", "Records that became dead letters, by reason.", ["topic", "code"], registry=registry
    )
    for loop in loops:
        partitions.labels(loop.topic).set_function(loop.partition_count)
        loop.count_dead_letters(dead_letters)
