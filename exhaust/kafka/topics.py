"""Creation of missing topics."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError

from exhaust.errors import Dependency, unavailable
from exhaust.kafka.connection import connection_options
from exhaust.kafka.producer import MAX_RECORD_BYTES
from schemas.events import TOPIC_DEAD_LETTERS, TOPICS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exhaust.settings import TopicSettings

CREATE_TIMEOUT: Final = timedelta(seconds=30)
# The limits of a topic's batches, as Kafka stores them. A record that came in uncompressed fits into a dead letter with
# the headers that it gets there; of one that was compressed the dead letter may hold the beginning alone.
MAX_BATCH_BYTES: Final = 1024 * 1024 + 12  # Kafka's own default, written down since clusters may have another
MAX_DEAD_LETTER_BATCH_BYTES: Final = MAX_RECORD_BYTES + 1024
TOPIC_EXISTS: Final = 36  # TOPIC_ALREADY_EXISTS in Kafka's protocol errors


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
    try:
        async with asyncio.timeout(CREATE_TIMEOUT.total_seconds()):
            admin = AIOKafkaAdminClient(**connection_options(settings))
            try:
                await admin.start()
                response = await admin.create_topics([_new_topic(settings, name) for name in names])
            finally:
                await admin.close()
    except (KafkaError, OSError, TimeoutError) as error:
        raise unavailable(Dependency.KAFKA) from error
    created = []
    for name, code, *details in response.topic_errors:
        if code not in {0, TOPIC_EXISTS}:
            raise ValueError(f"Kafka refused to create topic {name}: {details}")
        if code == 0:
            created.append(name)
    return created


def _new_topic(settings: TopicSettings, name: str) -> NewTopic:
    limit = MAX_DEAD_LETTER_BATCH_BYTES if name == TOPIC_DEAD_LETTERS else MAX_BATCH_BYTES
    return NewTopic(
        name,
        settings.kafka_partitions,
        settings.kafka_replication,
        topic_configs={"max.message.bytes": str(limit)},
    )
