"""Topics: the creation of missing ones, and the configuration of all, above all how long they keep records."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from exhaust.errors import Dependency, unavailable
from exhaust.kafka.connection import DRIVER_ERRORS, connection_options
from exhaust.kafka.producer import MAX_RECORD_BYTES
from schemas.events import TOPIC_BEATS, TOPIC_DEAD_LETTERS, TOPICS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from exhaust.settings import TopicSettings

CREATE_TIMEOUT: Final = timedelta(seconds=30)
# The limits of a topic's batches, as Kafka stores them. A record that came in uncompressed fits into a dead letter with
# the headers that it gets there; of one that was compressed the dead letter may hold the beginning alone.
MAX_BATCH_BYTES: Final = 1024 * 1024 + 12  # Kafka's own default, written down since clusters may have another
MAX_DEAD_LETTER_BATCH_BYTES: Final = MAX_RECORD_BYTES + 1024
# Work is done, or tried again from the database, long before. The inbox remembers events for longer than their topic.
KEPT_FOR: Final = timedelta(days=7)
DEAD_LETTERS_KEPT_FOR: Final = timedelta(days=30)
BEATS_KEPT_FOR: Final = timedelta(hours=1)
_KEPT_FOR: Final = {TOPIC_DEAD_LETTERS: DEAD_LETTERS_KEPT_FOR, TOPIC_BEATS: BEATS_KEPT_FOR}
SET_FOR_TOPIC: Final = 1  # DYNAMIC_TOPIC_CONFIG, the source of a value that was set for the topic itself
TOPIC_EXISTS: Final = 36  # TOPIC_ALREADY_EXISTS in Kafka's protocol errors


@dataclass(frozen=True, slots=True)
class ConfigDifference:
    """A value in a topic's configuration that is not ours."""

    topic: str
    name: str
    present: str
    wanted: str


def topic_configuration(name: str) -> dict[str, str]:
    """Return the configuration that a topic should have."""
    dead_letters = name == TOPIC_DEAD_LETTERS
    limit = MAX_DEAD_LETTER_BATCH_BYTES if dead_letters else MAX_BATCH_BYTES
    kept_for = _KEPT_FOR.get(name, KEPT_FOR)
    return {
        "cleanup.policy": "delete",
        "max.message.bytes": str(limit),
        "retention.bytes": "-1",
        "retention.ms": str(kept_for // timedelta(milliseconds=1)),
    }


async def create_topics(settings: TopicSettings, names: Sequence[str] = TOPICS) -> list[str]:
    """Create the topics that are missing.

    Args:
        settings: the cluster, and how many partitions and replicas a topic gets.
        names: the topics.

    Returns:
        The names of the topics that were created.

    Raises:
        ExhaustError: SERVICE_UNAVAILABLE.
    """
    async with _open_admin(settings) as admin:
        response = await admin.create_topics([_new_topic(settings, name) for name in names])
    created = []
    for name, code, *details in response.topic_errors:
        if code not in {0, TOPIC_EXISTS}:
            raise ValueError(f"Kafka refused to create topic {name}: {details}")
        if code == 0:
            created.append(name)
    return created


async def configuration_differences(settings: TopicSettings, names: Sequence[str] = TOPICS) -> list[ConfigDifference]:
    """Return where the configuration of existing topics is not ours.

    Raises:
        ExhaustError: SERVICE_UNAVAILABLE.
    """
    async with _open_admin(settings) as admin:
        configured = await _describe(admin, names)
    return [
        ConfigDifference(topic, name, configured[topic][name][0], wanted)
        for topic in names
        for name, wanted in topic_configuration(topic).items()
        if configured[topic][name][0] != wanted
    ]


async def configure_topics(settings: TopicSettings, names: Sequence[str] = TOPICS) -> None:
    """Give existing topics our configuration; whatever else is set for a topic stays.

    Raises:
        ExhaustError: SERVICE_UNAVAILABLE.
    """
    async with _open_admin(settings) as admin:
        configured = await _describe(admin, names)
        for topic in names:
            # Kafka replaces all that was set for the topic.
            kept = {name: value for name, (value, source) in configured[topic].items() if source == SET_FOR_TOPIC}
            wanted = ConfigResource(ConfigResourceType.TOPIC, topic, configs=kept | topic_configuration(topic))
            [response] = await admin.alter_configs([wanted])
            for code, message, *_ in response.resources:
                if code:
                    raise ValueError(f"Kafka refused to configure topic {topic}: {message or code}")


@asynccontextmanager
async def _open_admin(settings: TopicSettings) -> AsyncIterator[AIOKafkaAdminClient]:
    try:
        async with asyncio.timeout(CREATE_TIMEOUT.total_seconds()):
            admin = AIOKafkaAdminClient(**connection_options(settings))
            try:
                await admin.start()
                yield admin
            finally:
                await admin.close()
    except DRIVER_ERRORS as error:
        raise unavailable(Dependency.KAFKA) from error


async def _describe(admin: AIOKafkaAdminClient, names: Sequence[str]) -> dict[str, dict[str, tuple[str, int]]]:
    """Return the values of each topic's configuration and where they come from, by their names."""
    found = {}
    for topic in names:
        [response] = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
        for code, message, _kind, name, entries in response.resources:
            if code:
                raise ValueError(f"Kafka does not tell the configuration of topic {name}: {message or code}")
            found[name] = {entry[0]: (entry[1], entry[3]) for entry in entries}
    return found


def _new_topic(settings: TopicSettings, name: str) -> NewTopic:
    return NewTopic(
        name,
        1 if name == TOPIC_BEATS else settings.kafka_partitions,  # so few beats come that order is worth more
        settings.kafka_replication,
        topic_configs=topic_configuration(name),
    )
