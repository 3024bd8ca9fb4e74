"""Consuming: what is finished is committed, what is refused goes to the dead letters."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

from exhaust.kafka.records import Record, RejectedRecordError, RejectionCode
from schemas.events import TOPIC_DEAD_LETTERS
from tests.integration.kafka.conftest import AT_ONCE, Handled, Scene, new_scene

if TYPE_CHECKING:
    from exhaust.kafka.producer import Producer
    from tests.support.kafka_cluster import KafkaTestSettings


async def test_as_many_records_as_allowed_are_worked_on_at_once(
    kafka_settings: KafkaTestSettings, producer: Producer
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
    async with scene.member(work, drain=AT_ONCE):
        await finished.until_all(["0", "1", "3", "4"])
    assert await scene.uncommitted() == ["2", "3", "4"]
    assert await scene.uncommitted() == []


async def test_a_record_whose_handler_raises_is_dead_lettered_and_committed(scene: Scene) -> None:
    verdicts = {
        b"reject": RejectedRecordError(RejectionCode.SCHEMA, "not an event", "/archive/size"),
        b"break": ValueError("x" * 2000),
    }

    async def work(record: Record) -> None:
        if record.value in verdicts:
            raise verdicts[record.value]

    headers = [("ce_id", b"1"), ("ce_type", b"\xff\x00"), ("ce_id", b"2")]
    for value in (b"reject", b"fine", b"break"):
        await scene.producer.send_raw(scene.topic, b"\x00key" if value == b"reject" else None, value, headers)
    dead_lettered = Handled()

    async def note(record: Record) -> None:
        if record.header("dl_topic") == scene.topic:
            await dead_lettered.note(record)

    dead_letters = Scene(scene.settings, scene.producer, TOPIC_DEAD_LETTERS)
    async with scene.member(work), dead_letters.member(note):
        await dead_lettered.until_all(["reject", "break"])
    rejected, broken = sorted(dead_lettered.records, key=lambda record: record.header("dl_offset"))
    assert rejected.key == b"\x00key"
    assert rejected.value == b"reject"
    assert rejected.headers == (
        *headers,
        ("dl_topic", scene.topic.encode()),
        ("dl_partition", b"0"),
        ("dl_offset", b"0"),
        ("dl_group", scene.group.encode()),
        ("dl_code", b"SCHEMA"),
        ("dl_pointer", b"/archive/size"),
        ("dl_error", b"RejectedRecordError: not an event"),
    )
    assert broken.key is None
    assert broken.value == b"break"
    assert broken.header("dl_offset") == "2"
    assert (broken.header("dl_code"), broken.header("dl_pointer")) == ("INTERNAL", "")
    assert broken.header("dl_error").startswith("ValueError: xxx")
    assert len(broken.header("dl_error")) == 1000
    assert await scene.uncommitted() == []


async def test_the_largest_record_that_kafka_takes_can_become_a_dead_letter(scene: Scene) -> None:
    largest = b"x" * (1024 * 1024 - 100)
    dead_lettered = Handled()

    async def refuse(_record: Record) -> None:
        raise RejectedRecordError(RejectionCode.NOT_JSON, "junk")

    async def note(record: Record) -> None:
        if record.header("dl_topic") == scene.topic:
            await dead_lettered.note(record)

    await scene.producer.send_raw(scene.topic, None, largest, [])
    dead_letters = Scene(scene.settings, scene.producer, TOPIC_DEAD_LETTERS)
    async with dead_letters.member(note), scene.member(refuse, drain=AT_ONCE), asyncio.timeout(8):
        await dead_lettered.until(bool)
    assert dead_lettered.records[0].value == largest
    assert await scene.uncommitted() == []


async def test_a_stop_finishes_short_work_and_cancels_long_work(scene: Scene) -> None:
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
    async with scene.member(work, drain=timedelta(seconds=1)) as stop:
        await begun.until_all(["short", "long"])
        stop.set()
        stopping.set()
    assert ended == {b"short": "finished", b"long": "given up"}
    assert await scene.uncommitted() == ["long"]
