"""Records that cannot be read cost themselves alone, and no process."""

from __future__ import annotations

import asyncio
import struct
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import structlog.testing
from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c
from pydantic import TypeAdapter

from exhaust.kafka.connection import connection_options
from exhaust.kafka.topic_reader import open_topic_reader
from schemas.events import TOPIC_DEAD_LETTERS
from services.aggregator.decoding import decode_record
from tests.integration.kafka.conftest import AT_ONCE, Handled, Scene, new_scene

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from exhaust.kafka.producer import Producer
    from exhaust.kafka.records import Record
    from tests.support.kafka_cluster import KafkaTestSettings

ANYTHING: TypeAdapter[object] = TypeAdapter(object)


@asynccontextmanager
async def dead_letters(scene: Scene) -> AsyncIterator[Handled]:
    """The dead letters of the topic, as they come."""
    found = Handled()

    async def note(record: Record) -> None:
        if record.header("dl_topic") == scene.topic:
            await found.note(record)

    async with Scene(scene.settings, scene.producer, TOPIC_DEAD_LETTERS).member(note):
        yield found


async def produce_batch(scene: Scene, values: Sequence[bytes], *, spoil: bytes) -> None:
    """Send one batch in which the header name `spoil` is not UTF-8."""
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 10**6)
    for offset, value in enumerate(values):
        name = "x" * len(spoil) if value.startswith(b"bad") else "good"
        builder.append(offset, timestamp=None, key=b"key", value=value, headers=[(name, b"content")])
    raw = bytearray(bytes(builder.build()).replace(b"x" * len(spoil), spoil))
    struct.pack_into(">I", raw, 17, calc_crc32c(bytes(raw[21:])))
    await produce_raw(scene, bytes(raw))


async def produce_raw(scene: Scene, raw: bytes) -> None:
    """Send a batch as it is."""
    client = AIOKafkaClient(**connection_options(scene.settings))
    await client.bootstrap()
    try:
        await client.force_metadata_update()
        request = ProduceRequest(None, -1, 5000, [(scene.topic, [(0, raw)])])
        response = await client.send(client.get_random_node(), request)
        [(_, [(_, code, *_)])] = response.topics
        assert code == 0
    finally:
        await client.close()


async def test_a_header_that_is_not_utf_8_costs_its_record_alone(scene: Scene) -> None:
    handled = Handled()
    await scene.send("before")
    await produce_batch(scene, [b"good 1", b"bad 1", b"good 2", b"bad 2", b"good 3"], spoil=b"n\xff\xfe")
    await scene.send("after")
    with structlog.testing.capture_logs() as logs:
        async with dead_letters(scene) as found, scene.member(handled.note, concurrency=2):
            await handled.until_all(["before", "good 1", "good 2", "good 3", "after"])
            await found.until_all(["bad 1", "bad 2"])
            await scene.until_committed(7)
    assert sorted(handled.values) == ["after", "before", "good 1", "good 2", "good 3"]
    assert sorted(found.values) == ["bad 1", "bad 2"]
    letter = found.records[found.values.index("bad 1")]
    assert letter.key == b"key"
    assert (letter.header("dl_code"), letter.header("dl_offset")) == ("UNREADABLE", "2")
    assert letter.header("n\\xff\\xfe") == "content"
    told = {
        (entry["partition"], entry["offset"], entry["following"])
        for entry in logs
        if entry["event"] == "kafka.unreadable"
    }
    assert told == {(0, 2, 3), (0, 4, 5)}


async def test_a_reader_without_a_group_reads_what_can_be_read(scene: Scene) -> None:
    await scene.send("before")
    await produce_batch(scene, [b"good 1", b"bad 1", b"good 2"], spoil=b"n\xff\xfe")
    await scene.send("after")
    async with open_topic_reader(scene.settings) as reader:
        read = [records async for records in reader.read(scene.topic, 0, start=0, end=5)]
    values = [record.value for records in read for record in records]
    assert values == [b"before", b"good 1", b"bad 1", b"good 2", b"after"]


async def test_a_poll_that_fails_loses_no_record_of_another_partition(
    kafka_settings: KafkaTestSettings, producer: Producer
) -> None:
    handled = Handled()
    scene = await new_scene(kafka_settings, producer, partitions=3)
    sent = await scene.spread("a")
    await produce_batch(scene, [b"bad 1", b"good 1"], spoil=b"n\xff\xfe")
    sent += await scene.spread("b")
    async with scene.member(handled.note, concurrency=64):
        await scene.until_committed(len(sent) + 2)
    assert sorted(handled.values) == sorted([*sent, "good 1"])


async def test_a_damaged_batch_is_passed_over(scene: Scene, servers_folder: Path) -> None:
    handled = Handled()
    await scene.send("before", "to be damaged", "after")
    [segment] = (servers_folder / "data").glob(f"**/{scene.topic}-0/00000000000000000000.log")
    with segment.open("r+b") as file:  # a disk that lies
        file.seek(segment.read_bytes().index(b"to be damaged"))
        file.write(b"TO")
    async with dead_letters(scene) as found, scene.member(handled.note):
        await handled.until_all(["before", "after"])
        await found.until(bool)
        await scene.until_committed(3)
    assert sorted(handled.values) == ["after", "before"]
    [letter] = found.records
    assert (letter.header("dl_code"), letter.header("dl_offset")) == ("UNREADABLE", "1")
    assert b"TO be damaged" in letter.value
    assert "checksum" in letter.header("dl_error")


async def test_a_tombstone_is_refused_and_kept_as_it_is(scene: Scene) -> None:
    async def work(record: Record) -> None:
        await asyncio.sleep(0)
        decode_record(record, ANYTHING)

    await scene.producer.send_raw(scene.topic, b"forgotten", None, [("name", b"content")])
    async with dead_letters(scene) as found, scene.member(work, drain=AT_ONCE):
        await found.until(bool)
        await scene.until_committed(1)
    [letter] = found.records
    assert (letter.tombstone, letter.key, letter.value) == (True, b"forgotten", b"")
    assert (letter.header("dl_code"), letter.header("name")) == ("TOMBSTONE", "content")


async def test_a_record_with_neither_key_nor_value_is_buried_and_the_next_is_worked_on(scene: Scene) -> None:
    handled = Handled()

    async def handle(record: Record) -> None:
        if record.tombstone:
            decode_record(record, ANYTHING)
        await handled.note(record)

    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 10**6)
    builder.append(0, timestamp=None, key=None, value=None, headers=[])
    await produce_raw(scene, bytes(builder.build()))
    await scene.send("after")
    async with dead_letters(scene) as found, scene.member(handle):
        await handled.until_all(["after"])
        await found.until_all([""])
        await scene.until_committed(2)
    [letter] = found.records
    assert (letter.header("dl_code"), letter.key, letter.value) == ("TOMBSTONE", None, b"")
