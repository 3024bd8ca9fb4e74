"""A topic and a group that only one test knows, looked at as the console does, and Kafka's own tool as the judge."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from exhaust.lag.groups import GroupLag
from exhaust.lag.kafka_lag import open_kafka_lag
from tests.integration.kafka.conftest import TIMEOUT_S, Scene, new_scene
from tests.support.kafka_cluster import process_of_kafka
from tests.support.kafka_tools import KafkaTools

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from deploy.local.stack import Stack
    from exhaust.kafka.producer import Producer
    from exhaust.lag.kafka_lag import KafkaLag
    from tests.support.kafka_cluster import KafkaTestSettings


@dataclass(frozen=True, slots=True)
class Watched:
    """A group and its topic, and who looks at it."""

    scene: Scene
    kafka: KafkaLag
    beats: str

    async def look(self) -> GroupLag:
        """Looks until everything is seen: a new Kafka makes its topic of offsets, a new topic gets its leaders."""
        async with asyncio.timeout(TIMEOUT_S):
            while True:
                group = (await self.kafka.look()).groups[self.scene.group]
                if isinstance(group, GroupLag) and (group.oldest is not None or not group.messages):
                    return group
                await asyncio.sleep(0.1)  # Kafka tells nobody when it has


@pytest.fixture
def tools(servers: Stack, tmp_path: Path) -> KafkaTools:
    if servers.kafka_username is None:
        pytest.skip("the tool needs a user that only our own Kafka has")
    return KafkaTools(servers, tmp_path)


@pytest.fixture
async def watched(kafka_settings: KafkaTestSettings, producer: Producer) -> AsyncIterator[Watched]:
    scene = await new_scene(kafka_settings, producer, partitions=3)
    beats = (await new_scene(kafka_settings, producer, partitions=1)).topic
    async with open_kafka_lag(kafka_settings, {scene.group: scene.topic}, beats) as kafka:
        yield Watched(scene, kafka, beats)


@pytest.fixture
def kafka_process(servers: Stack, servers_folder: Path) -> int:
    return process_of_kafka(servers, servers_folder)
