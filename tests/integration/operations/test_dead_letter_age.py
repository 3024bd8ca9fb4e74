"""The age of the oldest dead letter that waits, as the console exports it."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from exhaust.operations.dead_letter_index import index_dead_letters
from exhaust.postgres.dead_letters import count_letters, known_ends, prune_letters
from exhaust.process.health import Health
from services.console.dead_letter_age import DeadLetterAge

if TYPE_CHECKING:
    from exhaust.postgres.database import Database
    from tests.integration.operations.letters import Letters


async def test_the_oldest_letter_has_an_age_and_none_is_0(owner_database: Database, letters: Letters) -> None:
    health = Health()
    age = DeadLetterAge(owner_database, health)
    assert math.isnan(age.seconds())
    await letters.bury(letters.record(1))
    await index_dead_letters(owner_database, letters.reader)
    assert await age.look()
    found = health.registry.get_sample_value("exhaust_dead_letters_oldest_seconds")
    assert found is not None
    assert 0 < found < 3600
    await prune_letters(owner_database, dict.fromkeys(await known_ends(owner_database), (0, 0)))
    assert await age.look()
    assert age.seconds() == 0


async def test_what_nobody_could_redrive_has_no_age(owner_database: Database, letters: Letters) -> None:
    await letters.bury_cut(letters.record(1))
    ours = replace(letters.record(2), headers=(("ce_source", b"/telemetry-exhaust/aggregator"),))
    await letters.bury(ours)
    await index_dead_letters(owner_database, letters.reader)
    async with owner_database.transaction() as connection:  # letters of other tests lie on the topic too
        await connection.execute(
            "UPDATE dead_letters SET state = 'redriven' WHERE source <> $1 AND NOT starts_with(source, '/telemetry')",
            letters.source,
        )
    found = await owner_database.fetch("SELECT source FROM dead_letters WHERE state = 'waiting'")
    assert {row["source"] for row in found} >= {letters.source, "/telemetry-exhaust/aggregator"}
    counts = await count_letters(owner_database)
    assert (counts.undelivered, counts.oldest) == (0, None)
    assert counts.waiting == len(found)
