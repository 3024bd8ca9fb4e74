"""The one place that talks to Kafka's driver: sending, consuming, creating topics.

At-least-once with idempotent effects: a send is acknowledged by all replicas or its outcome is unknown and it is
sent again; an offset is committed only behind finished work.
"""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, Protocol

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import KafkaError

from exhaust.errors import unavailable
from exhaust.offsets import OffsetLedger
from exhaust.records import Record, RejectedRecordError, dead_letter_headers
from schemas.events import TOPIC_DEAD_LETTERS, TOPICS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from exhaust.settings import KafkaSettings
    from schemas.events import CloudEvent

SEND_TIMEOUT_S: Final = 15.0
COMMIT_TIMEOUT_S: Final = 10.0
CLOSE_TIMEOUT_S: Final = 5.0
POLL_MS: Final = 200  # how late a pause, a commit or a stop is noticed while nothing arrives
# A dead letter is the largest record that Kafka takes by default (1 MiB) and our headers.
MAX_RECORD_BYTES: Final = 2 * 1024 * 1024
TOPIC_EXISTS: Final = 36  # TOPIC_ALREADY_EXISTS in Kafka's protocol errors

log = structlog.get_logger(__name__)


class Producer:
    """Sends events, each with a deadline.

    A driver's producer can wedge after an unexpected sequence number, so every failure rebuilds it.
    """

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._raw: AIOKafkaProducer | None = None
        self._lock = asyncio.Lock()

    async def send(self, topic: str, key: str, event: CloudEvent) -> None:
        """Send one event and wait until all replicas in sync have it.

        Raises:
            ExhaustError: SERVICE_UNAVAILABLE; whether Kafka has the event is then unknown.
        """
        await self.send_raw(topic, key.encode(), event.data, event.headers())

    async def send_raw(self, topic: str, key: bytes | None, value: bytes, headers: list[tuple[str, bytes]]) -> None:
        """As send, for bytes that are no event of ours."""
        raw = None
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                raw = await self._started()
                await raw.send_and_wait(topic, value, key=key, headers=headers)
        except (KafkaError, OSError, TimeoutError) as error:
            if raw is not None:
                await self._discard(raw)
            raise unavailable("Kafka") from error

    async def ping(self) -> None:
        """Raises ExhaustError when Kafka does not answer."""
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await (await self._started()).partitions_for(TOPIC_DEAD_LETTERS)
        except (KafkaError, OSError, TimeoutError) as error:
            raise unavailable("Kafka") from error

    async def close(self) -> None:
        """Stop, after what was sent has been flushed or its deadline has passed."""
        if self._raw is not None:
            await self._discard(self._raw)

    async def _started(self) -> AIOKafkaProducer:
        async with self._lock:
            if self._raw is None:
                raw = AIOKafkaProducer(
                    bootstrap_servers=self._bootstrap,
                    acks="all",
                    enable_idempotence=True,
                    linger_ms=2,  # lets concurrent senders share a batch
                    request_timeout_ms=int(SEND_TIMEOUT_S * 1000),
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
            await asyncio.wait_for(raw.stop(), CLOSE_TIMEOUT_S)


@asynccontextmanager
async def open_producer(settings: KafkaSettings) -> AsyncIterator[Producer]:
    """A producer that connects at its first use and is flushed at the end."""
    producer = Producer(settings.kafka_bootstrap)
    try:
        yield producer
    finally:
        await producer.close()


class Beat(Protocol):
    """Told at every turn of a loop that it still turns."""

    def __call__(self) -> None:
        """One more turn."""


class Consumption:
    """A member of a consumer group that works on several records at once.

    The poll loop never waits for work: a rebalance is answered in time however long a record takes. Offsets are
    committed as OffsetLedger allows.
    """

    def __init__(
        self,
        settings: KafkaSettings,
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
        self.partitions = 0  # how many of the topic's this member has

    async def run(self, stop: asyncio.Event, beat: Beat, drain_s: float) -> None:
        """Consume until `stop` is set; then finish what is short, give up what is long without committing it.

        Args:
            stop: set by SIGTERM.
            beat: called at every turn.
            drain_s: how long work in progress may still take after the stop.
        """
        consumer = await self._joined(stop, beat)
        if consumer is None:
            return
        try:
            while not stop.is_set():
                beat()
                await self._turn(consumer, stop, beat)
            await self._drain(consumer, drain_s)
        finally:
            for task in self._tasks.values():
                task.cancel()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)
            await _close(consumer)

    async def _joined(self, stop: asyncio.Event, beat: Beat) -> AIOKafkaConsumer | None:
        """A consumer that has its partitions; None after a stop. Kafka may come up after us."""
        while not stop.is_set():
            consumer = self._consumer()
            # Joining waits for members that died without a word, up to the session timeout.
            joining = asyncio.ensure_future(consumer.start())
            stopping = asyncio.ensure_future(stop.wait())
            try:
                while not (joining.done() or stopping.done()):
                    beat()
                    await asyncio.wait((joining, stopping), timeout=1.0, return_when=asyncio.FIRST_COMPLETED)
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
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), 1.0)
        return None

    def _consumer(self) -> AIOKafkaConsumer:
        session_ms = int(self._settings.kafka_session_timeout.total_seconds() * 1000)
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._settings.kafka_bootstrap,
            group_id=self._group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=session_ms,
            heartbeat_interval_ms=session_ms // 10,
            rebalance_timeout_ms=60_000,
            # A class of its own: the driver keeps the last assignment on the class, for all groups of a process.
            partition_assignment_strategy=(type("StickyAssignor", (StickyPartitionAssignor,), {}),),
        )
        consumer.subscribe([self.topic], listener=_Listener(self, consumer))
        return consumer

    async def _turn(self, consumer: AIOKafkaConsumer, stop: asyncio.Event, beat: Beat) -> None:
        """Poll once, start work, commit."""
        free = self._concurrency - len(self._tasks)
        self._pause(consumer, paused=free <= 0)
        polling = asyncio.ensure_future(
            consumer.getmany(timeout_ms=POLL_MS if free > 0 else POLL_MS // 10, max_records=max(free, 1))
        )
        # A poll waits for a rebalance however long that takes. It is not cancelled: that would switch off the driver's
        # watchdog. A stop leaves it to the closing of the consumer.
        while not polling.done() and not stop.is_set():
            beat()
            await asyncio.wait({polling}, timeout=1.0)
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
            async with asyncio.timeout(COMMIT_TIMEOUT_S):
                await consumer.commit(offsets)
            for partition, behind in offsets.items():
                if partition in self._ledgers:
                    self._ledgers[partition].committed(behind)
        except (KafkaError, TimeoutError, OSError) as error:
            # The records may come again; their effects are idempotent.
            log.warning("kafka.commit_failed", group=self._group, error=type(error).__name__)

    async def _drain(self, consumer: AIOKafkaConsumer, drain_s: float) -> None:
        if self._tasks:
            await asyncio.wait(self._tasks.values(), timeout=drain_s)
        await self._commit(consumer)

    async def leave(self, consumer: AIOKafkaConsumer) -> None:
        """A rebalance takes the partitions away: commit what is finished; what still runs goes on and commits nothing.

        The driver calls this before it joins the new generation, when the old one may still commit.
        """
        self.partitions = 0
        await self._commit(consumer)
        self._ledgers.clear()


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # the driver is untyped
    def __init__(self, consumption: Consumption, consumer: AIOKafkaConsumer) -> None:
        self._consumption = consumption
        self._consumer = consumer

    async def on_partitions_revoked(self, _revoked: set[TopicPartition]) -> None:
        await self._consumption.leave(self._consumer)

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """Only counts: every turn of the loop pauses or resumes what is assigned then."""
        self._consumption.partitions = len(assigned)


async def _close(consumer: AIOKafkaConsumer) -> None:
    with contextlib.suppress(KafkaError, OSError, TimeoutError):
        await asyncio.wait_for(consumer.stop(), CLOSE_TIMEOUT_S)


def _record(message: object) -> Record:
    get = message.__getattribute__
    return Record(get("topic"), get("partition"), get("offset"), get("key"), get("value") or b"", tuple(get("headers")))


async def create_topics(settings: KafkaSettings, names: Sequence[str] = TOPICS) -> list[str]:
    """Create the topics that are missing.

    Args:
        settings: the cluster, and how many partitions and replicas a topic gets.
        names: the topics.

    Returns:
        Names of those created now.

    Raises:
        ExhaustError: SERVICE_UNAVAILABLE.
    """
    try:
        async with asyncio.timeout(30):
            admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap)
            try:
                await admin.start()
                response = await admin.create_topics([_new_topic(settings, name) for name in names])
            finally:
                await admin.close()
    except (KafkaError, OSError, TimeoutError) as error:
        raise unavailable("Kafka") from error
    created = []
    for name, code, *details in response.topic_errors:
        if code not in {0, TOPIC_EXISTS}:
            raise ValueError(f"Kafka refused to create topic {name}: {details}")
        if code == 0:
            created.append(name)
    return created


def _new_topic(settings: KafkaSettings, name: str) -> NewTopic:
    larger = {"max.message.bytes": str(MAX_RECORD_BYTES)} if name == TOPIC_DEAD_LETTERS else {}
    return NewTopic(name, settings.kafka_partitions, settings.kafka_replication, topic_configs=larger)
