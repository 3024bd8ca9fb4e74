"""The configuration of topics: of new ones, and of those that exist."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from exhaust.kafka.connection import connection_options
from exhaust.kafka.topics import (
    ConfigDifference,
    configuration_differences,
    configure_topics,
    create_topics,
    topic_configuration,
)
from schemas.events import TOPIC_BEATS, TOPIC_DEAD_LETTERS, TOPICS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.kafka_cluster import KafkaTestSettings


@asynccontextmanager
async def by_hand(settings: KafkaTestSettings) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(**connection_options(settings))
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


def test_every_topic_keeps_its_records_for_a_limited_time() -> None:
    kept = {name: timedelta(milliseconds=int(topic_configuration(name)["retention.ms"])) for name in TOPICS}
    assert kept.pop(TOPIC_DEAD_LETTERS) == timedelta(days=30)
    assert kept.pop(TOPIC_BEATS) == timedelta(hours=1)
    assert set(kept.values()) == {timedelta(days=7)}


async def test_a_new_topic_has_our_configuration(kafka_settings: KafkaTestSettings) -> None:
    name = f"new-{uuid4()}"
    await create_topics(kafka_settings, [name])
    assert await configuration_differences(kafka_settings, [name]) == []


async def test_an_older_topic_gets_our_configuration_and_keeps_what_else_was_set(
    kafka_settings: KafkaTestSettings,
) -> None:
    name = f"old-{uuid4()}"
    async with by_hand(kafka_settings) as admin:
        set_by_hand = {"retention.ms": "-1", "segment.ms": "86400000"}
        await admin.create_topics([NewTopic(name, 1, 1, topic_configs=set_by_hand)])
    wanted = topic_configuration(name)["retention.ms"]
    assert ConfigDifference(name, "retention.ms", "-1", wanted) in await configuration_differences(
        kafka_settings, [name]
    )
    await configure_topics(kafka_settings, [name])
    assert await configuration_differences(kafka_settings, [name]) == []
    await configure_topics(kafka_settings, [name])
    async with by_hand(kafka_settings) as admin:
        [response] = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)])
    [(_, _, _, _, entries)] = response.resources
    assert {entry[0]: entry[1] for entry in entries}["segment.ms"] == "86400000"
