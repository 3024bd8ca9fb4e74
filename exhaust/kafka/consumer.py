"""Consuming a topic as a member of a group.

At-least-once with idempotent effects: an offset is committed only behind finished work.
"""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import KafkaError
from prometheus_client import Gauge

from exhaust.kafka.offsets import OffsetLedger
from exhaust.kafka.producer import CLOSE_TIMEOUT
from exhaust.kafka.records import Record, RejectedRecordError, dead_letter_headers
from exhaust.process.periodic import BEAT_INTERVAL, wait_for_event, wait_for_first
from schemas.events import TOPIC_DEAD_LETTERS

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


class Consumption:
    """A member of a consumer group that works on several records at once.

    The poll loop never waits for work: a rebalance is answered in time however long a record takes. Offsets are
    committed as OffsetLedger allows.
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
            handle: does all that a record asks for before it returns. It retries what can be retried itself; what it
                raises sends the record to the dead-letter topic.
            producer: for dead letters.
            concurrency: records worked on at once.
        """
        self._settings = settings
        self._group = group
        self._handle = handle
        self._producer = producer
        self._concurrency = concurrency
        self._ledgers: dict[TopicPartition, OffsetLedger] = {}
        self._tasks: dict[tuple[TopicPartition, int], asyncio.Task[None]] = {}
        self.topic: Final = topic
        self._partitions = 0

    async def run(self, stop: asyncio.Event, heartbeat: Heartbeat, drain_timeout: timedelta) -> None:
        """Consume until `stop` is set; then finish what is short, give up what is long without committing it.

        Args:
            stop: set by SIGTERM.
            heartbeat: called at every turn.
            drain_timeout: how long work in progress may still take after the stop.
        """
        consumer = await self._joined(stop, heartbeat)
        if consumer is None:
            return
        try:
            while not stop.is_set():
                heartbeat()
                await self._turn(consumer, stop, heartbeat)
            await self._drain(consumer, drain_timeout)
        finally:
            for task in self._tasks.values():
                task.cancel()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)
            await _close(consumer)

    async def _joined(self, stop: asyncio.Event, heartbeat: Heartbeat) -> AIOKafkaConsumer | None:
        """A consumer that has its partitions; None after a stop. Kafka may come up after us."""
        while not stop.is_set():
            consumer = self._consumer()
            # Joining waits for members that died without a word, up to the session timeout.
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
            await _close(consumer)
            if failure is not None and not isinstance(failure, KafkaError | OSError | asyncio.CancelledError):
                raise failure
            log.warning("kafka.connect_failed", group=self._group, error=type(failure).__name__)
            await wait_for_event(stop, heartbeat=heartbeat, limit=RECONNECT_INTERVAL)
        return None

    def _consumer(self) -> AIOKafkaConsumer:
        session = self._settings.kafka_session_timeout
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._settings.kafka_bootstrap,
            group_id=self._group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=_milliseconds(session),
            heartbeat_interval_ms=_milliseconds(session / 10),
            rebalance_timeout_ms=_milliseconds(REBALANCE_TIMEOUT),
            # A class of its own: the driver keeps the last assignment on the class, for all groups of a process.
            partition_assignment_strategy=(type("StickyAssignor", (StickyPartitionAssignor,), {}),),
        )
        consumer.subscribe([self.topic], listener=_Listener(self, consumer))
        return consumer

    async def _turn(self, consumer: AIOKafkaConsumer, stop: asyncio.Event, heartbeat: Heartbeat) -> None:
        """Poll once, start work, commit."""
        free = self._concurrency - len(self._tasks)
        self._pause(consumer, paused=free <= 0)
        timeout = POLL_INTERVAL if free > 0 else POLL_INTERVAL / 10
        polling = asyncio.ensure_future(consumer.getmany(timeout_ms=_milliseconds(timeout), max_records=max(free, 1)))
        # A poll waits for a rebalance however long that takes. It is not cancelled: that would switch off the driver's
        # watchdog. A stop leaves it to the closing of the consumer.
        while not polling.done() and not stop.is_set():
            await wait_for_first({polling}, heartbeat=heartbeat, limit=BEAT_INTERVAL)
        if not polling.done():
            polling.add_done_callback(lambda left: left.cancelled() or left.exception())
            return
        for partition, messages in polling.result().items():
            ledger = self._ledgers.setdefault(partition, OffsetLedger())
            for message in messages:
                ledger.take(message.offset)
                self._begin(partition, message.offset, _record(message))
        await self._commit(consumer)

    def _pause(self, consumer: AIOKafkaConsumer, *, paused: bool) -> None:
        assigned = consumer.assignment()
        already = consumer.paused() & assigned
        if paused:
            consumer.pause(*(assigned - already))
        else:
            consumer.resume(*already)

    def _begin(self, partition: TopicPartition, offset: int, record: Record) -> None:
        """Start work on a record, unless a rebalance delivered it again while its work still runs."""
        if (partition, offset) in self._tasks:
            return
        task = asyncio.create_task(self._work(record), name=f"{record.topic}/{record.partition}/{offset}")
        self._tasks[partition, offset] = task
        task.add_done_callback(lambda done: self._end(partition, offset, done))

    def _end(self, partition: TopicPartition, offset: int, task: asyncio.Task[None]) -> None:
        self._tasks.pop((partition, offset), None)
        # Work of a partition that was lost meanwhile has no ledger: its new owner repeats it, harmlessly.
        ledger = self._ledgers.get(partition)
        if ledger is not None and not task.cancelled() and task.exception() is None:
            ledger.finish(offset)

    async def _work(self, record: Record) -> None:
        try:
            await self._handle(record)
        except Exception as error:  # noqa: BLE001 -- whatever a handler lets out must not stop the partition
            await self._bury(record, error)

    async def _bury(self, record: Record, error: Exception) -> None:
        """Publish to the dead-letter topic; the record is not finished before Kafka has it there."""
        log.error(
            "kafka.dead_letter",
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            error=type(error).__name__,
            exc_info=not isinstance(error, RejectedRecordError),
        )
        headers = dead_letter_headers(record, self._group, error)
        while True:
            try:
                await self._producer.send_raw(TOPIC_DEAD_LETTERS, record.key, record.value, headers)
            except Exception as failure:  # noqa: BLE001 -- the record must not be lost, whatever is wrong with Kafka
                log.warning("kafka.dead_letter_retry", error=str(failure))
                await asyncio.sleep(1.0)
            else:
                return

    async def _commit(self, consumer: AIOKafkaConsumer) -> None:
        offsets = {
            partition: offset
            for partition, ledger in self._ledgers.items()
            if (offset := ledger.committable()) is not None
        }
        if not offsets:
            return
        try:
            async with asyncio.timeout(COMMIT_TIMEOUT.total_seconds()):
                await consumer.commit(offsets)
            for partition, behind in offsets.items():
                if partition in self._ledgers:
                    self._ledgers[partition].committed(behind)
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

    def enter(self, assigned: Collection[TopicPartition]) -> None:
        """Count the partitions that a rebalance gave; every poll pauses or resumes what is assigned then."""
        self._partitions = len(assigned)

    async def leave(self, consumer: AIOKafkaConsumer) -> None:
        """A rebalance takes the partitions away: commit what is finished; what still runs goes on and commits nothing.

        The driver calls this before it joins the new generation, when the old one may still commit.
        """
        self._partitions = 0
        await self._commit(consumer)
        self._ledgers.clear()


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # the driver is untyped
    def __init__(self, consumption: Consumption, consumer: AIOKafkaConsumer) -> None:
        self._consumption = consumption
        self._consumer = consumer

    async def on_partitions_revoked(self, _revoked: set[TopicPartition]) -> None:
        await self._consumption.leave(self._consumer)

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        self._consumption.enter(assigned)


async def _close(consumer: AIOKafkaConsumer) -> None:
    with contextlib.suppress(KafkaError, OSError, TimeoutError):
        await asyncio.wait_for(consumer.stop(), CLOSE_TIMEOUT.total_seconds())


def _record(message: ConsumerRecord) -> Record:
    return Record(
        message.topic, message.partition, message.offset, message.key, message.value or b"", tuple(message.headers)
    )


def _milliseconds(duration: timedelta) -> int:
    return duration // timedelta(milliseconds=1)


def count_partitions(registry: CollectorRegistry, *consumptions: Consumption) -> None:
    """Publish `exhaust_partitions{topic}`: how many partitions this process reads at the moment."""
    gauge = Gauge("exhaust_partitions", "Partitions that this process reads.", ["topic"], registry=registry)
    for consumption in consumptions:
        gauge.labels(consumption.topic).set_function(consumption.partition_count)
