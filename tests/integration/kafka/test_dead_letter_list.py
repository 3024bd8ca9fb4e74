"""Operators see dead letters without a position of their own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from exhaust.errors import ExhaustError
from exhaust.kafka.dead_letter_list import find_dead_letters
from exhaust.kafka.records import Record, RejectedRecordError, RejectionCode
from exhaust.settings import KafkaSettings
from tests.integration.kafka.conftest import Handled, Scene
from tests.support.s3_proxy import closed_port


async def bury(scene: Scene, *values: bytes) -> None:
    """Have a member refuse these records."""
    buried = Handled()

    async def refuse(record: Record) -> None:
        await buried.note(record)
        raise RejectedRecordError(RejectionCode.SCHEMA, "it has no day", "/day")

    for value in values:
        await scene.producer.send_raw(scene.topic, b"key", value, [("ce_source", b"/somebody")])
    async with scene.member(refuse):
        await buried.until(lambda seen: len(seen) == len(values))


async def test_the_latest_are_found_with_their_place_and_reason(scene: Scene) -> None:
    since = datetime.now(UTC) - timedelta(seconds=1)
    await bury(scene, b"one", b"two", b"three")
    wanted = {"dl_topic": scene.topic}
    found = await find_dead_letters(scene.settings, since=since, wanted=wanted, limit=10)
    assert sorted(letter.value for letter in found) == [b"one", b"three", b"two"]
    told = {name: found[0].headers[name] for name in ("dl_code", "dl_pointer", "dl_topic", "ce_source")}
    assert told == {"dl_code": "SCHEMA", "dl_pointer": "/day", "dl_topic": scene.topic, "ce_source": "/somebody"}
    assert [letter.at for letter in found] == sorted(letter.at for letter in found)
    assert all(letter.at >= since for letter in found)
    assert await find_dead_letters(scene.settings, since=since, wanted=wanted | {"dl_code": "INTERNAL"}, limit=10) == []
    assert len(await find_dead_letters(scene.settings, since=since, wanted=wanted, limit=2)) == 2


async def test_older_ones_are_left_out(scene: Scene) -> None:
    await bury(scene, b"old")
    later = datetime.now(UTC) + timedelta(minutes=1)
    assert await find_dead_letters(scene.settings, since=later, wanted={}, limit=10) == []


async def test_a_kafka_that_is_away_is_said_to_be() -> None:
    nowhere = KafkaSettings(kafka_bootstrap=f"127.0.0.1:{closed_port()}")
    with pytest.raises(ExhaustError, match="Kafka"):
        await find_dead_letters(nowhere, since=datetime.now(UTC), wanted={}, limit=10)
