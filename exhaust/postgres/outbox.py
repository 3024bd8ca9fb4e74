"""Where an accepted request waits.

A row is written in the transaction that accepts the request, and leaves when Kafka has the event. Kafka's partitions
are first-in first-out, so whoever is in one has to be waited for: fairness between partners is decided here, before.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from exhaust.domain.days import DayRange
from exhaust.domain.requests import DatasetRequest
from telemetry.resource_ids import resource_id

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from uuid import UUID

    from exhaust.postgres.database import Connection, Database

BATCH: Final = 100
RELEASE_LOCK: Final = 7_203_002  # any constant; relays of several gateways take turns at it

PUT: Final = """
INSERT INTO outbox (request_id, attempt, traceparent) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING
"""
# Whoever holds the line first; then one turn after the other round the partners, a partner's shortest request first,
# and none beyond its limit.
_NEXT: Final = """
WITH in_flight AS (
    SELECT partner_id, count(*) AS requests FROM requests r
    WHERE state IN ('submitted', 'inprogress')
      AND NOT EXISTS (SELECT FROM outbox o WHERE o.request_id = r.request_id)
    GROUP BY partner_id
), waiting AS (
    SELECT o.request_id, o.attempt, o.traceparent, o.created_at,
           r.partner_id, r.dataset_id, r.resource, r.from_date, r.to_date, r.tags, r.synchronous,
           row_number() OVER (
               PARTITION BY r.partner_id ORDER BY r.synchronous DESC, r.to_date - r.from_date, o.created_at
           ) AS turn
    FROM outbox o JOIN requests r USING (request_id)
)
SELECT w.* FROM waiting w LEFT JOIN in_flight f USING (partner_id)
WHERE coalesce(f.requests, 0) + w.turn <= $1
ORDER BY w.synchronous DESC, w.turn, w.to_date - w.from_date, w.created_at
LIMIT $2
"""
_RELEASED: Final = """
WITH released AS (DELETE FROM outbox WHERE request_id = $1 AND attempt = $2)
UPDATE requests SET moved_at = now() WHERE request_id = $1
"""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A request whose turn it is.

    Attributes:
        owner: plain id of the partner whose resource it is, when the request says it.
    """

    request: DatasetRequest
    owner: str | None
    attempt: int
    traceparent: str


async def put(connection: Connection, request_id: UUID, attempt: int, traceparent: str) -> None:
    """Let an attempt wait for its release, in the transaction that made it due."""
    await connection.execute(PUT, request_id, attempt, traceparent)


async def release(
    database: Database, publish: Callable[[Waiting], Awaitable[None]], *, max_in_flight_per_partner: int
) -> int:
    """Hand over the requests whose turn it is.

    Rows are removed after they were published. A crash in between publishes them again: consumers take repeated
    events for one.

    Args:
        database: with the runtime role.
        publish: returns when Kafka has the event; what it raises leaves that row waiting, and is raised at the end.
        max_in_flight_per_partner: released and unfinished requests that a partner may have.

    Returns:
        How many were released; 0 also when another gateway is at it.
    """
    async with database.transaction() as connection:
        turn = await connection.fetch_one("SELECT pg_try_advisory_xact_lock($1) AS ours", RELEASE_LOCK)
        if turn is None or not turn["ours"]:
            return 0
        rows = await connection.fetch(_NEXT, max_in_flight_per_partner, BATCH)
        outcomes = await asyncio.gather(*(publish(_waiting(row)) for row in rows), return_exceptions=True)
        for row, outcome in zip(rows, outcomes, strict=True):
            if outcome is None:
                await connection.execute(_RELEASED, row["request_id"], row["attempt"])
    # After the commit: one that cannot be published must not send the others again.
    for outcome in outcomes:
        if outcome is not None:
            raise outcome
    return len(rows)


def _waiting(row: Mapping[str, Any]) -> Waiting:
    request = DatasetRequest(
        request_id=row["request_id"],
        dataset=row["dataset_id"],
        resource=row["resource"],
        days=DayRange(row["from_date"], row["to_date"]),
        tags=tuple(row["tags"]),
    )
    partner = row["partner_id"]
    owner = partner if resource_id(partner) == request.resource else None
    return Waiting(request, owner, row["attempt"], row["traceparent"])
