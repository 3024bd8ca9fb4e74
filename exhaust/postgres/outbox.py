"""The table outbox: the queue in which accepted requests wait for their release to Kafka.

A row is written in the transaction that accepts a request, and deleted when Kafka has its event. A Kafka partition is
first-in first-out, so a partner with many requests would hold up all others there. The order in which rows leave the
outbox therefore makes it fair.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from exhaust.domain.days import DayRange
from exhaust.domain.requests import DatasetRequest

if TYPE_CHECKING:
    from uuid import UUID

    from exhaust.postgres.database import Connection, Row

RELEASE_LOCK: Final = 7_203_002  # any constant; one relay of all gateways holds it at a time

_TRY_LOCK: Final = "SELECT pg_try_advisory_xact_lock($1) AS locked"
PUT: Final = """
INSERT INTO outbox (request_id, attempt, traceparent) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING
"""
# Synchronous requests first, then round robin between partners. Of a partner the shortest request goes first, and none
# beyond its limit of requests in flight.
_NEXT: Final = """
WITH in_flight AS (
    SELECT coalesce(nullif(partner_resource, ''), partner_id) AS partner, count(*) AS requests FROM requests r
    WHERE state IN ('submitted', 'inprogress')
      AND parked_at IS NULL
      AND NOT EXISTS (SELECT FROM outbox o WHERE o.request_id = r.request_id)
    GROUP BY partner
), waiting AS (
    SELECT o.request_id, o.attempt, o.traceparent, o.created_at,
           r.partner_id, p.partner, r.dataset_id, r.resource, d.from_date, d.to_date, r.tags, r.synchronous,
           row_number() OVER (
               PARTITION BY p.partner ORDER BY r.synchronous DESC, d.to_date - d.from_date, o.created_at
           ) AS turn
    FROM outbox o JOIN requests r USING (request_id),
         LATERAL (SELECT readable_date(r.from_date) AS from_date, readable_date(r.to_date) AS to_date) d,
         LATERAL (SELECT coalesce(nullif(r.partner_resource, ''), r.partner_id) AS partner) p
    WHERE r.parked_at IS NULL
)
SELECT w.* FROM waiting w LEFT JOIN in_flight f USING (partner)
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
