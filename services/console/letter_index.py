"""The loop that keeps the index of dead letters, which pages and metrics show."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

import structlog

from exhaust.kafka.topic_reader import open_topic_reader
from exhaust.operations.dead_letter_index import index_dead_letters
from exhaust.postgres.database import TABLES_DIFFER
from exhaust.process.periodic import run_periodically

if TYPE_CHECKING:
    import asyncio

    from exhaust.postgres.database import Database
    from exhaust.process.health import Health
    from exhaust.settings import KafkaSettings

# Of a console that does not lead: should the one that does be unable to read Kafka, the index is not lost for good.
ALSO_EVERY: Final = timedelta(minutes=5)

log = structlog.get_logger(__name__)


async def keep_index(health: Health, database: Database, kafka: KafkaSettings, leads: asyncio.Event) -> None:
    """Bring the index up to date whenever this console leads, until the process stops.

    Args:
        health: of the process.
        database: as the console's own role.
        kafka: the cluster.
        leads: set each time that this console, of several the leading one, has written the history of stages.
    """

    async def turn() -> None:
        try:
            async with open_topic_reader(kafka) as reader:
                run = await index_dead_letters(database, reader)
        except TABLES_DIFFER as error:
            log.warning("dead_letter_index.waiting", error=type(error).__name__)
            return
        if run.added or run.pruned:
            log.info("dead_letter_index.changed", added=run.added, pruned=run.pruned)

    await run_periodically(health, "dead_letter_index", turn, interval=ALSO_EVERY, wake=leads)
