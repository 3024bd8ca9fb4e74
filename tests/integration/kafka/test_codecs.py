"""Records that other producers compress as they like."""

from __future__ import annotations

import pytest
from aiokafka import AIOKafkaProducer

from exhaust.kafka.connection import connection_options
from tests.integration.kafka.conftest import Handled, Scene


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
async def test_a_record_of_any_codec_is_read(scene: Scene, codec: str) -> None:
    handled = Handled()
    text = f"{codec} " * 100  # long enough to be worth compressing
    async with AIOKafkaProducer(**connection_options(scene.settings), compression_type=codec) as foreign:
        await foreign.send_and_wait(scene.topic, text.encode())
    async with scene.member(handled.note):
        await handled.until(bool)
    assert handled.values == [text]
    assert await scene.uncommitted() == []
