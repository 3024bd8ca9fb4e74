"""A topic and a group that only one test knows, on a real Kafka."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from exhaust.kafka.connection import connection_options
from exhaust.kafka.consumer import ConsumerLoop
from exhaust.kafka.group_consumer import GroupConsumer
from exhaust.kafka.topics import create_topics
from tests.support.kafka_cluster import process_of_kafka

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
    from pathlib import Path

    from deploy.local.stack import Stack
    from exhaust.kafka.producer import Producer
    from exhaust.kafka.records import Record
    from tests.support.kafka_cluster import KafkaTestSettings


TIMEOUT_S = 45.0
DRAIN, AT_ONCE = timedelta(seconds=10), timedelta(milliseconds=50)
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
            self.values.append(record.value.decode(errors="replace"))
            self._news.notify_all()

    async def until(self, condition: Callable[[list[str]], bool]) -> None:
        async with asyncio.timeout(TIMEOUT_S), self._news:
            await self._news.wait_for(lambda: condition(self.values))

    async def until_all(self, values: Iterable[str]) -> None:
        await self.until(lambda seen: set(seen).issuperset(values))


@dataclass(frozen=True, slots=True)
class Scene:
    """A topic and a group that only one test knows."""

    settings: KafkaTestSettings
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

    def consumer_loop(
        self,
        handle: Callable[[Record], Awaitable[None]],
        concurrency: int = 8,
        consumer_type: type[GroupConsumer] = GroupConsumer,
        loop_type: type[ConsumerLoop] = ConsumerLoop,
    ) -> ConsumerLoop:
        consumer_loop = loop_type(
            self.settings,
            group=self.group,
            topic=self.topic,
            handle=handle,
            producer=self.producer,
            concurrency=concurrency,
        )
        consumer_loop.consumer_type = consumer_type
        return consumer_loop

    @asynccontextmanager
    async def member(
        self,
        handle: Callable[[Record], Awaitable[None]],
        *,
        concurrency: int = 8,
        drain: timedelta = DRAIN,
        consumer_type: type[GroupConsumer] = GroupConsumer,
    ) -> AsyncIterator[asyncio.Event]:
        """Runs a member of the group; stops it at the end. Its failure ends the block."""
        stop = asyncio.Event()
        async with asyncio.timeout(TIMEOUT_S * 2), asyncio.TaskGroup() as running:
            consumer_loop = self.consumer_loop(handle, concurrency, consumer_type)
            running.create_task(consumer_loop.run(stop, lambda: None, drain))
            yield stop
            stop.set()

    async def uncommitted(self) -> list[str]:
        """What a later member of the group is given, in order; all of one partition stands before its LAST."""
        last = await self.spread(LAST)
        rest = Handled()
        async with self.member(rest.note):
            await rest.until_all(last)
        return [value for value in rest.values if value not in last]

    @asynccontextmanager
    async def admin(self) -> AsyncIterator[AIOKafkaAdminClient]:
        admin = AIOKafkaAdminClient(**connection_options(self.settings))
        await admin.start()
        try:
            yield admin
        finally:
            await admin.close()

    async def committed(self) -> int:
        """The group's committed offsets of the topic, added up: as many records as they have passed."""
        async with self.admin() as admin:
            offsets = await admin.list_consumer_group_offsets(self.group)
        return sum(found.offset for partition, found in offsets.items() if partition.topic == self.topic)

    async def until_committed(self, offset: int) -> None:
        async with asyncio.timeout(TIMEOUT_S):
            while True:
                if await self.committed() == offset:
                    break
                await asyncio.sleep(0.05)  # Kafka tells nobody of commits


async def new_scene(settings: KafkaTestSettings, producer: Producer, *, partitions: int) -> Scene:
    topic = f"topic-{uuid4().hex[:8]}"
    await create_topics(settings.model_copy(update={"kafka_partitions": partitions}), [topic])
    return Scene(settings, producer, topic)


@pytest.fixture
async def scene(kafka_settings: KafkaTestSettings, producer: Producer) -> Scene:
    return await new_scene(kafka_settings, producer, partitions=1)


@pytest.fixture
def kafka_process(servers: Stack, servers_folder: Path) -> int:
    return process_of_kafka(servers, servers_folder)
