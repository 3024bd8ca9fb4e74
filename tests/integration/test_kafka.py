"""Sending and consuming on a real Kafka: nothing is lost, nothing is committed that is not finished."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections import defaultdict
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from exhaust.errors import ErrorCode, ExhaustError
from exhaust.kafka.consumer import Consumption
from exhaust.kafka.producer import Producer, open_producer
from exhaust.kafka.records import Record, RejectedRecordError
from exhaust.kafka.topics import create_topics
from schemas.events import TOPIC_DEAD_LETTERS, CloudEvent
from tests.support.s3_proxy import closed_port, proxy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

    from exhaust.settings import KafkaSettings

PATIENCE_S = 45.0
DRAIN_S = 10.0
LAST = "last"
KEYS = tuple(f"key-{number}" for number in range(12))  # they fall on all of three partitions


class Handled:
    """Notes the records that were worked on, in the order in which their work began."""

    def __init__(self) -> None:
        self.values: list[str] = []
        self.records: list[Record] = []
        self._news = asyncio.Condition()

    async def note(self, record: Record) -> None:
        async with self._news:
            self.records.append(record)
            self.values.append(record.value.decode())
            self._news.notify_all()

    async def until(self, condition: Callable[[list[str]], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S), self._news:
            await self._news.wait_for(lambda: condition(self.values))

    async def until_all(self, values: Iterable[str]) -> None:
        await self.until(lambda seen: set(seen).issuperset(values))


@dataclass(frozen=True, slots=True)
class Scene:
    """A topic and a group that only one test knows."""

    settings: KafkaSettings
    producer: Producer
    topic: str
    group: str = field(default_factory=lambda: f"group-{uuid4().hex[:8]}")

    async def send(self, *values: str, key: str = "key") -> None:
        for value in values:
            await self.producer.send_raw(self.topic, key.encode(), value.encode(), [])

    async def spread(self, prefix: str) -> list[str]:
        """Sends one record for each of KEYS."""
        values = [f"{prefix}-{key}" for key in KEYS]
        await asyncio.gather(*(self.send(value, key=key) for value, key in zip(values, KEYS, strict=True)))
        return values

    def consumption(self, handle: Callable[[Record], Awaitable[None]], concurrency: int = 8) -> Consumption:
        return Consumption(
            self.settings,
            group=self.group,
            topic=self.topic,
            handle=handle,
            producer=self.producer,
            concurrency=concurrency,
        )

    @asynccontextmanager
    async def member(
        self, handle: Callable[[Record], Awaitable[None]], *, concurrency: int = 8, drain_s: float = DRAIN_S
    ) -> AsyncIterator[asyncio.Event]:
        """Runs a member of the group; stops it at the end. Its failure ends the block."""
        stop = asyncio.Event()
        async with asyncio.timeout(PATIENCE_S * 2), asyncio.TaskGroup() as running:
            running.create_task(self.consumption(handle, concurrency).run(stop, lambda: None, drain_s))
            yield stop
            stop.set()

    async def uncommitted(self) -> list[str]:
        """What a later member of the group is given, in order; all of one partition stands before its LAST."""
        last = await self.spread(LAST)
        rest = Handled()
        async with self.member(rest.note):
            await rest.until_all(last)
        return [value for value in rest.values if value not in last]


async def new_scene(settings: KafkaSettings, producer: Producer, *, partitions: int) -> Scene:
    topic = f"topic-{uuid4().hex[:8]}"
    await create_topics(settings.model_copy(update={"kafka_partitions": partitions}), [topic])
    return Scene(settings, producer, topic)


@pytest.fixture
async def scene(kafka_settings: KafkaSettings, producer: Producer) -> Scene:
    return await new_scene(kafka_settings, producer, partitions=1)


async def test_an_event_travels_as_a_binary_cloudevent(scene: Scene) -> None:
    event = CloudEvent(
        id="7/1/started",
        type="telemetry-exhaust.test.v1",
        source="/telemetry-exhaust/test",
        time=datetime(2026, 11, 1, 12, 30, tzinfo=UTC),
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        data='{"name":"café"}'.encode(),
    )
    handled = Handled()
    async with scene.member(handled.note):
        await scene.producer.send(scene.topic, "request-7", event)
        await handled.until(bool)
    [record] = handled.records
    assert record == Record(
        topic=scene.topic,
        partition=0,
        offset=0,
        key=b"request-7",
        value='{"name":"café"}'.encode(),
        headers=(
            ("ce_specversion", b"1.0"),
            ("ce_id", b"7/1/started"),
            ("ce_type", b"telemetry-exhaust.test.v1"),
            ("ce_source", b"/telemetry-exhaust/test"),
            ("ce_time", b"2026-11-01T12:30:00+00:00"),
            ("content-type", b"application/json"),
            ("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ),
    )
    assert record.header("ce_type") == "telemetry-exhaust.test.v1"
    assert record.header("no such header") == ""


async def test_as_many_records_as_allowed_are_worked_on_at_once(
    kafka_settings: KafkaSettings, producer: Producer
) -> None:
    scene = await new_scene(kafka_settings, producer, partitions=3)
    begun, gate = Handled(), asyncio.Event()
    at_once: list[int] = []
    working: set[str] = set()

    async def work(record: Record) -> None:
        value = record.value.decode()
        working.add(value)
        at_once.append(len(working))
        await begun.note(record)
        await gate.wait()
        working.remove(value)

    sent = await scene.spread("a") + await scene.spread("b")
    async with scene.member(work, concurrency=3):
        await begun.until(lambda values: len(values) == 3)
        gate.set()
        await begun.until_all(sent)
    assert max(at_once) == 3
    assert sorted(begun.values) == sorted(sent)
    assert await scene.uncommitted() == []


async def test_only_the_contiguous_finished_prefix_is_committed(scene: Scene) -> None:
    finished = Handled()

    async def work(record: Record) -> None:
        if record.value == b"2":
            await asyncio.Event().wait()
        await finished.note(record)

    await scene.send("0", "1", "2", "3", "4")
    async with scene.member(work, drain_s=0.05):
        await finished.until_all(["0", "1", "3", "4"])
    assert await scene.uncommitted() == ["2", "3", "4"]
    assert await scene.uncommitted() == []


async def test_what_a_handler_raises_goes_to_the_dead_letters_and_is_committed(scene: Scene) -> None:
    verdicts = {b"reject": RejectedRecordError("not an event"), b"break": ValueError("x" * 2000)}

    async def work(record: Record) -> None:
        if record.value in verdicts:
            raise verdicts[record.value]

    headers = [("ce_id", b"1"), ("ce_type", b"\xff\x00"), ("ce_id", b"2")]
    for value in (b"reject", b"fine", b"break"):
        await scene.producer.send_raw(scene.topic, b"\x00key" if value == b"reject" else None, value, headers)
    buried = Handled()

    async def note(record: Record) -> None:
        if record.header("dl_topic") == scene.topic:
            await buried.note(record)

    dead_letters = Scene(scene.settings, scene.producer, TOPIC_DEAD_LETTERS)
    async with scene.member(work), dead_letters.member(note):
        await buried.until_all(["reject", "break"])
    rejected, broken = sorted(buried.records, key=lambda record: record.header("dl_offset"))
    assert rejected.key == b"\x00key"
    assert rejected.value == b"reject"
    assert rejected.headers == (
        *headers,
        ("dl_topic", scene.topic.encode()),
        ("dl_partition", b"0"),
        ("dl_offset", b"0"),
        ("dl_group", scene.group.encode()),
        ("dl_error", b"RejectedRecordError: not an event"),
    )
    assert broken.key is None
    assert broken.value == b"break"
    assert broken.header("dl_offset") == "2"
    assert broken.header("dl_error").startswith("ValueError: xxx")
    assert len(broken.header("dl_error")) == 1000
    assert await scene.uncommitted() == []


async def test_the_largest_record_that_kafka_takes_can_become_a_dead_letter(scene: Scene) -> None:
    largest = b"x" * (1024 * 1024 - 100)
    buried = Handled()

    async def refuse(_record: Record) -> None:
        raise RejectedRecordError("junk")

    async def note(record: Record) -> None:
        if record.header("dl_topic") == scene.topic:
            await buried.note(record)

    await scene.producer.send_raw(scene.topic, None, largest, [])
    dead_letters = Scene(scene.settings, scene.producer, TOPIC_DEAD_LETTERS)
    async with dead_letters.member(note), scene.member(refuse, drain_s=0.05), asyncio.timeout(8):
        await buried.until(bool)
    assert buried.records[0].value == largest
    assert await scene.uncommitted() == []


async def test_a_stop_finishes_what_is_short_and_leaves_what_is_long(scene: Scene) -> None:
    begun, stopping = Handled(), asyncio.Event()
    ended: dict[bytes, str] = {}

    async def work(record: Record) -> None:
        await begun.note(record)
        try:
            await stopping.wait()
            if record.value == b"long":
                await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended[record.value] = "given up"
            raise
        ended[record.value] = "finished"

    await scene.send("short", "long")
    async with scene.member(work, drain_s=1.0) as stop:
        await begun.until_all(["short", "long"])
        stop.set()
        stopping.set()
    assert ended == {b"short": "finished", b"long": "given up"}
    assert await scene.uncommitted() == ["long"]


async def test_a_member_that_joins_and_leaves_neither_loses_nor_wedges_anything(
    kafka_settings: KafkaSettings, producer: Producer
) -> None:
    scene = await new_scene(kafka_settings, producer, partitions=3)
    first, second, gate = Handled(), Handled(), asyncio.Event()

    async def work(record: Record) -> None:
        await first.note(record)
        if record.value.startswith(b"long"):
            await gate.wait()

    sent = await scene.spread("a")
    async with scene.member(work, concurrency=16):
        await first.until_all(sent)
        sent += await scene.spread("long")
        await first.until_all(sent)
        async with scene.member(second.note, concurrency=16):
            sent += await scene.spread("b")
            # It has some of the partitions now, with the unfinished records on them.
            await second.until(lambda values: any(value.startswith("b") for value in values))
            gate.set()
            sent += await scene.spread("c")
            await first.until(lambda values: any(value.startswith("c") for value in values))
        alone = await scene.spread("d")
        await first.until_all(alone)
    assert set(first.values) | set(second.values) == {*sent, *alone}
    assert await scene.uncommitted() == []


async def test_what_is_finished_when_a_rebalance_begins_does_not_come_again(scene: Scene) -> None:
    handled, joined = Handled(), Handled()
    neighbour = replace(await new_scene(scene.settings, scene.producer, partitions=1), group=scene.group)
    enough = asyncio.Event()

    async def flow() -> None:
        for number in itertools.count():
            await asyncio.gather(*(scene.send(f"{number} {place}") for place in range(20)))
            if enough.is_set():
                break

    async with asyncio.TaskGroup() as flowing, scene.member(handled.note):
        sending = flowing.create_task(flow())
        for number in range(3):
            await neighbour.send(f"joined {number}")
            # A member that reads another topic: everything is revoked and comes back to the same member.
            async with neighbour.member(joined.note):
                await joined.until_all([f"joined {number}"])
        enough.set()
        await sending
    # What arrives in that very moment may; a batch of eight for each of the three would be the rule.
    assert len(handled.values) - len(set(handled.values)) <= 8


async def test_work_from_before_a_rebalance_does_not_hide_what_is_unfinished(scene: Scene) -> None:
    begun, finished = Handled(), Handled()
    gates: defaultdict[tuple[str, int], asyncio.Event] = defaultdict(asyncio.Event)

    async def work(record: Record) -> None:
        await begun.note(record)
        await gates[record.value.decode(), begun.values.count(record.value.decode())].wait()
        await finished.note(record)

    joined = Handled()
    neighbour = replace(await new_scene(scene.settings, scene.producer, partitions=1), group=scene.group)
    await neighbour.send("joined")
    await scene.send("0", "1", "2", "3")
    async with scene.member(work, concurrency=4, drain_s=0.05):
        await begun.until_all(["0", "1", "2", "3"])
        # A member that reads another topic: everything is revoked and comes back to the same member.
        async with neighbour.member(joined.note):
            await joined.until_all(["joined"])
            gates["1", 1].set()
            await begun.until(lambda values: values.count("1") == 2)  # and so 2 and 3 are still to be read again
            gates["3", 1].set()
            await begun.until(lambda values: values.count("3") == 2)
            for gate in (("0", 1), ("1", 2), ("3", 2)):
                gates[gate].set()
            await finished.until(lambda values: sorted(values) == ["0", "1", "1", "3", "3"])
    assert (await scene.uncommitted())[:1] == ["2"]


async def test_a_member_waits_its_turn_behind_one_that_went_away_without_a_word(scene: Scene) -> None:
    # A member that was killed holds the group until its session ends, which takes longer than any one call may.
    slow = Scene(
        scene.settings.model_copy(update={"kafka_session_timeout": timedelta(seconds=11)}), scene.producer, scene.topic
    )
    frozen, thaw = threading.Event(), threading.Event()

    async def freeze(_record: Record) -> None:
        frozen.set()
        thaw.wait(PATIENCE_S)  # stops its whole event loop, heartbeats included

    async def frozen_member() -> None:
        stop = asyncio.Event()
        async with open_producer(slow.settings) as own, asyncio.TaskGroup() as running:
            consumption = Scene(slow.settings, own, slow.topic, slow.group).consumption(freeze)
            running.create_task(consumption.run(stop, lambda: stop.set() if thaw.is_set() else None, 0.0))

    await slow.send("first")
    frozen_thread = asyncio.create_task(asyncio.to_thread(asyncio.run, frozen_member()))
    handled = Handled()
    try:
        assert await asyncio.to_thread(frozen.wait, PATIENCE_S)
        async with slow.member(handled.note):
            await handled.until_all(["first"])
    finally:
        thaw.set()
        await frozen_thread


async def test_a_kafka_that_comes_up_later_is_waited_for(scene: Scene) -> None:
    port = closed_port()
    early = Scene(
        scene.settings.model_copy(update={"kafka_bootstrap": f"127.0.0.1:{port}"}), scene.producer, scene.topic
    )
    turns = asyncio.Queue[None]()
    handled, stop = Handled(), asyncio.Event()
    await scene.send("patient")
    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as running:
        running.create_task(early.consumption(handled.note).run(stop, lambda: turns.put_nowait(None), DRAIN_S))
        for _ in range(2):
            await turns.get()
        async with proxy(scene.settings.kafka_bootstrap, port=port):
            await handled.until_all(["patient"])
            stop.set()


async def test_waiting_for_a_kafka_that_is_away_ends_with_a_stop(scene: Scene) -> None:
    away = Scene(
        scene.settings.model_copy(update={"kafka_bootstrap": f"127.0.0.1:{closed_port()}"}),
        scene.producer,
        scene.topic,
    )
    handled, stop = Handled(), asyncio.Event()
    turns = asyncio.Queue[None]()
    running = asyncio.create_task(away.consumption(handled.note).run(stop, lambda: turns.put_nowait(None), DRAIN_S))
    for _ in range(2):
        await asyncio.wait_for(turns.get(), PATIENCE_S)
    stop.set()
    await asyncio.wait_for(running, 5)
    assert handled.values == []


async def test_a_producer_without_kafka_says_so(kafka_settings: KafkaSettings) -> None:
    settings = kafka_settings.model_copy(update={"kafka_bootstrap": f"127.0.0.1:{closed_port()}"})
    async with asyncio.timeout(PATIENCE_S), open_producer(settings) as away:
        for attempt in (away.send_raw("any", None, b"", []), away.ping(), create_topics(settings, ["any"])):
            with pytest.raises(ExhaustError) as raised:
                await attempt
            assert raised.value.code is ErrorCode.SERVICE_UNAVAILABLE
            assert raised.value.retryable


async def test_a_producer_goes_on_after_a_failure(scene: Scene) -> None:
    handled = Handled()
    async with open_producer(scene.settings) as own:
        await own.send_raw(scene.topic, None, b"before", [])
        with pytest.raises(ExhaustError):
            await own.send_raw(scene.topic, None, b"x" * 3_000_000, [])
        await own.send_raw(scene.topic, None, b"after", [])
        await own.ping()
    async with scene.member(handled.note):
        await handled.until_all(["before", "after"])
    assert handled.values == ["before", "after"]


async def test_topics_are_created_once(kafka_settings: KafkaSettings) -> None:
    name = f"topic-{uuid4().hex[:8]}"
    assert await create_topics(kafka_settings, [name]) == [name]
    assert await create_topics(kafka_settings, [name]) == []
    assert await create_topics(kafka_settings) == []  # the fixture made them
