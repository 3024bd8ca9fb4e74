"""Reading a topic between offsets, without a group."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from exhaust.errors import ErrorCode, ExhaustError
from exhaust.kafka.topic_reader import TopicReader, open_topic_reader
from exhaust.settings import KafkaSettings
from tests.support.s3_proxy import closed_port

if TYPE_CHECKING:
    from tests.integration.kafka.conftest import Scene


async def values(reader: TopicReader, scene: Scene, start: int, end: int) -> list[bytes]:
    read = [records async for records in reader.read(scene.topic, 0, start=start, end=end)]
    return [record.value for records in read for record in records]


async def test_records_are_read_from_an_offset_to_another(scene: Scene) -> None:
    await scene.send(*(str(number) for number in range(20)))
    async with open_topic_reader(scene.settings) as reader:
        assert await reader.bounds(scene.topic) == {0: (0, 20)}
        assert await values(reader, scene, 0, 20) == [str(number).encode() for number in range(20)]
        assert await values(reader, scene, 5, 7) == [b"5", b"6"]
        assert await values(reader, scene, 20, 20) == []
        await scene.send("20")
        assert await values(reader, scene, 20, 21) == [b"20"]
        for offset, found in ((0, b"0"), (20, b"20"), (7, b"7")):
            record = await reader.read_one(scene.topic, 0, offset)
            assert record is not None
            assert record.value == found
        assert await reader.read_one(scene.topic, 0, 21) is None
        assert await reader.read_one(scene.topic, 1, 0) is None


async def test_a_topic_that_is_not_there_holds_nothing(scene: Scene) -> None:
    async with open_topic_reader(scene.settings) as reader:
        assert await reader.bounds("no-such-topic") == {}


async def test_a_kafka_that_is_away_is_said_to_be() -> None:
    nowhere = KafkaSettings(kafka_bootstrap=f"127.0.0.1:{closed_port()}")
    with pytest.raises(ExhaustError) as refused:
        async with open_topic_reader(nowhere):
            pass
    assert refused.value.code is ErrorCode.SERVICE_UNAVAILABLE
