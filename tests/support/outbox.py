"""Releases from the outbox, with a topic that takes what is published."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from exhaust.errors import unavailable
from services.gateway.relay import ReleasedBatch, release_batch

if TYPE_CHECKING:
    from uuid import UUID

    from exhaust.postgres.database import Database
    from exhaust.postgres.outbox import OutboxEntry

CLAIM_FOR = timedelta(minutes=1)


@dataclass
class Topic:
    """Takes what is published; fails from the n-th on when told so."""

    taken: list[UUID] = field(default_factory=list)
    fails_at: int | None = None

    async def publish(self, entry: OutboxEntry) -> None:
        if self.fails_at == len(self.taken):
            raise unavailable("Kafka")
        self.taken.append(entry.request.request_id)


async def release(database: Database, topic: Topic, *, limit: int = 100) -> list[UUID]:
    """What one release hands over, in order."""
    before = len(topic.taken)
    batch = await release_batch(database, topic.publish, max_in_flight_per_partner=limit, claim_for=CLAIM_FOR)
    assert batch == ReleasedBatch(len(topic.taken) - before, [])
    return topic.taken[before:]


async def waiting(database: Database) -> set[UUID]:
    return {row["request_id"] for row in await database.fetch("SELECT request_id FROM outbox")}


async def end_claims(database: Database) -> None:
    """What happens when the time of all claims is over."""
    async with database.transaction() as connection:
        await connection.execute("UPDATE outbox SET claimed_until = now() WHERE claimed_until IS NOT NULL")
