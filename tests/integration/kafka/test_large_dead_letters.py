"""Dead letters of records that do not fit hold the beginning of the record, and tell where the whole one lies."""

from __future__ import annotations

import hashlib

from aiokafka import AIOKafkaProducer

from exhaust.kafka.connection import connection_options
from exhaust.kafka.records import Record, RejectedRecordError, RejectionCode
from schemas.events import TOPIC_DEAD_LETTERS
from tests.integration.kafka.conftest import Handled, Scene

MIB = 1024 * 1024
EMPTY: list[tuple[str, bytes]] = []


async def refuse(_record: Record) -> None:
    raise RejectedRecordError(RejectionCode.NOT_JSON, "junk")


async def compressed(scene: Scene, key: bytes | None, value: bytes, headers: list[tuple[str, bytes]]) -> None:
    """Send a record that is small on its way."""
    options = connection_options(scene.settings) | {"compression_type": "gzip", "max_request_size": 64 * MIB}
    async with AIOKafkaProducer(**options) as foreign:
        await foreign.send_and_wait(scene.topic, value, key=key, headers=headers)


async def dead_letters_of(scene: Scene, expected: int) -> list[Record]:
    """All dead letters of the scene's topic, once everything on the topic was rejected and committed."""
    letters = Handled()

    async def note(record: Record) -> None:
        if record.header("dl_topic") == scene.topic:
            await letters.note(record)

    reader = Scene(scene.settings, scene.producer, TOPIC_DEAD_LETTERS)
    async with scene.member(refuse), reader.member(note):
        await letters.until(lambda seen: len(seen) == expected)
    assert await scene.uncommitted() == []
    return letters.records


async def test_a_record_that_inflates_beyond_the_limit_is_told_by_its_beginning(scene: Scene) -> None:
    value = b"0123456789abcdef" * (5 * MIB // 16)
    await compressed(scene, b"key", value, [("ce_id", b"7")])
    [letter] = await dead_letters_of(scene, 1)
    assert letter.value == value[: 64 * 1024]
    assert letter.key == b"key"
    assert letter.header("ce_id") == "7"
    assert (letter.header("dl_partition"), letter.header("dl_offset")) == ("0", "0")
    assert letter.header("dl_size") == str(5 * MIB)
    assert letter.header("dl_sha256") == hashlib.sha256(value).hexdigest()
    assert letter.header("dl_truncated") == "value"


async def test_huge_headers_and_keys_are_cut(scene: Scene) -> None:
    headers = [("small", b"1"), ("huge", b"x" * (3 * MIB)), ("behind", b"2")]
    await compressed(scene, b"k" * MIB, b"{", headers)
    [letter] = await dead_letters_of(scene, 1)
    assert letter.value == b"{"
    assert letter.key == b"k" * 1024
    assert letter.header("dl_truncated") == "key,headers"
    assert letter.header("small") == "1"
    assert letter.header("huge") == ""
    assert letter.header("dl_code") == "NOT_JSON"


async def test_every_uncompressed_record_that_a_topic_takes_fits_whole(scene: Scene) -> None:
    for key, value, headers in (
        (None, b"x" * (MIB - 80), EMPTY),
        (b"k" * (MIB - 80), b"", EMPTY),
        (None, b"", [("h", b"x" * (MIB - 90))]),
        (None, b"", [(f"{number:05}", b"") for number in range(100_000)]),
    ):
        await scene.producer.send_raw(scene.topic, key, value, headers)
    letters = await dead_letters_of(scene, 4)
    assert [letter.header("dl_truncated") for letter in letters] == [""] * 4
