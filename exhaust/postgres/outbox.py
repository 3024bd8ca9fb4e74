"""Where an accepted request waits.

A row is written in the transaction that accepts the request, and leaves when Kafka has the event. Kafka's partitions
are first-in first-out, so whoever is in one has to be waited for: fairness between partners is decided here, before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from exhaust.domain.days import DayRange
from exhaust.domain.requests import DatasetRequest

if TYPE_CHECKING:
    from uuid import UUID

    from exhaust.postgres.database import Connection, Row

RELEASE_LOCK: Final = 7_203_002  # any constant; relays of several gateways take turns at it

_TRY_LOCK: Final = "SELECT pg_try_advisory_xact_lock($1) AS locked"
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
_MARK_RELEASED: Final = """
WITH released AS (DELETE FROM outbox WHERE request_id = $1 AND attempt = $2)
UPDATE requests SET moved_at = now() WHERE request_id = $1
"""


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """An attempt of a request that waits for its release.

    Attributes:
        partner_id: as submitted.
    """

    request: DatasetRequest
    partner_id: str
    attempt: int
    traceparent: str


async def put(connection: Connection, request_id: UUID, attempt: int, traceparent: str) -> None:
    """Put an attempt into the outbox, in the transaction that made it due."""
    await connection.execute(PUT, request_id, attempt, traceparent)


async def try_lock_release(connection: Connection) -> bool:
    """Take the right to release for the rest of the transaction; return False when another gateway has it."""
    row = await connection.fetch_one(_TRY_LOCK, RELEASE_LOCK)
    return row is not None and bool(row["locked"])


async def next_entries(connection: Connection, *, max_in_flight_per_partner: int, limit: int) -> list[OutboxEntry]:
    """Return the entries whose turn it is, in the order of their turns.

    Args:
        connection: a transaction that holds the right to release.
        max_in_flight_per_partner: released and unfinished requests that a partner may have.
        limit: entries at most.
    """
    rows = await connection.fetch(_NEXT, max_in_flight_per_partner, limit)
    return [_entry(row) for row in rows]


async def mark_released(connection: Connection, entry: OutboxEntry) -> None:
    """Remove an entry that Kafka has; from now on its request has to show progress."""
    await connection.execute(_MARK_RELEASED, entry.request.request_id, entry.attempt)


def _entry(row: Row) -> OutboxEntry:
    request = DatasetRequest(
        request_id=row["request_id"],
        dataset=row["dataset_id"],
        resource=row["resource"],
        days=DayRange(row["from_date"], row["to_date"]),
        tags=tuple(row["tags"]),
    )
    return OutboxEntry(request, row["partner_id"], row["attempt"], row["traceparent"])
