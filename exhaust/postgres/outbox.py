"""The table outbox: the queue in which accepted requests wait for their release to Kafka.

A row is written in the transaction that accepts a request, and deleted when Kafka has its event. A Kafka partition is
first-in first-out, so a partner with many requests would hold up all others there. The order in which rows leave the
outbox therefore makes it fair. A gateway claims rows before it publishes them, so that no transaction waits for Kafka.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from exhaust.domain.days import DayRange
from exhaust.domain.requests import DatasetRequest
from exhaust.process.failpoints import failpoint
from telemetry.resource_ids import resource_id

if TYPE_CHECKING:
    from collections.abc import Collection
    from uuid import UUID

    from exhaust.postgres.database import Connection, Database, Row

RELEASE_LOCK: Final = 7_203_002  # any constant; one relay of all gateways holds it at a time
LOCK_TIMEOUT: Final = timedelta(milliseconds=500)

# A claim that the server forgets in a crash is made again, so its commit need not wait for the disk.
_LOCK: Final = """
SELECT set_config('lock_timeout', $2, true), set_config('synchronous_commit', 'off', true), pg_advisory_xact_lock($1)
"""
_PUT: Final = """
INSERT INTO outbox (request_id, attempt, traceparent) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING
"""
# Synchronous requests first, then round robin between partners. Of a partner the shortest request goes first, and none
# beyond its limit of requests in flight. Claimed requests count as in flight. What is paused waits.
_CLAIM: Final = """
WITH in_flight AS (
    SELECT coalesce(nullif(partner_resource, ''), partner_id) AS partner, count(*) AS requests FROM requests r
    WHERE state IN ('submitted', 'inprogress')
      AND parked_at IS NULL
      AND NOT EXISTS (
          SELECT FROM outbox o
          WHERE o.request_id = r.request_id AND (o.claimed_until IS NULL OR o.claimed_until <= now())
      )
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
    WHERE r.parked_at IS NULL AND (o.claimed_until IS NULL OR o.claimed_until <= now())
      AND NOT EXISTS (
          SELECT FROM pauses u WHERE (u.kind, u.name) IN (('partner', p.partner), ('dataset', r.dataset_id))
      )
), chosen AS (
    SELECT w.* FROM waiting w LEFT JOIN in_flight f USING (partner)
    WHERE coalesce(f.requests, 0) + w.turn <= $1
    ORDER BY w.synchronous DESC, w.turn, w.to_date - w.from_date, w.created_at
    LIMIT $2
), claimed AS (
    UPDATE outbox o SET claimed_until = now() + $3::interval FROM chosen c
    WHERE (o.request_id, o.attempt) = (c.request_id, c.attempt)
)
SELECT *, now() - readable_time(created_at) AS waited,
       (SELECT g.owner FROM data_exhaust_users_resources g WHERE g.resource = chosen.resource AND g.owner IS NOT NULL
        LIMIT 1) AS known_owner
FROM chosen
ORDER BY synchronous DESC, turn, to_date - from_date, created_at
"""
# A row that somebody has locked is on its way to Kafka, or out of here.
_REMOVE: Final = """
DELETE FROM outbox WHERE (request_id, attempt) IN (
    SELECT request_id, attempt FROM outbox WHERE request_id = $1 FOR UPDATE SKIP LOCKED
)
"""
_DELETE: Final = """
WITH released AS (
    DELETE FROM outbox o USING unnest($1::uuid[], $2::integer[]) AS e (request_id, attempt)
    WHERE (o.request_id, o.attempt) = (e.request_id, e.attempt)
    RETURNING o.request_id
)
UPDATE requests SET moved_at = now(), released_at = now() WHERE request_id IN (SELECT request_id FROM released)
"""
_GIVE_BACK: Final = """
UPDATE outbox o SET claimed_until = NULL FROM unnest($1::uuid[], $2::integer[]) AS e (request_id, attempt)
WHERE (o.request_id, o.attempt) = (e.request_id, e.attempt)
"""


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """An attempt of a request that waits for its release.

    Attributes:
        partner_id: as submitted.
        known_owner: the plain id of the resource's owner as some grant names it; None when none does.
        waited: in the outbox, until it was claimed.
    """

    request: DatasetRequest
    partner_id: str
    attempt: int
    traceparent: str
    waited: timedelta = timedelta(0)
    known_owner: str | None = None

    @property
    def owner(self) -> str | None:
        """The plain id of the partner or channel whose resource it is, which speeds the search; None if unknown."""
        named = (self.partner_id, self.known_owner)
        return next((name for name in named if name and resource_id(name) == self.request.resource), None)


async def put(connection: Connection, request_id: UUID, attempt: int, traceparent: str) -> None:
    """Put an attempt into the outbox, in the transaction that made it due."""
    await connection.execute(_PUT, request_id, attempt, traceparent)


async def remove(connection: Connection, request_id: UUID) -> None:
    """Remove what waits of a request, in the transaction that ends it. It waits for no release."""
    await connection.execute(_REMOVE, request_id)


async def claim_entries(
    database: Database, *, max_in_flight_per_partner: int, limit: int, claim_for: timedelta
) -> list[OutboxEntry]:
    """Claim the entries whose turn it is, and return them in the order of their turns.

    Nobody else gets them for that time. Whoever claims at the same moment waits for its end, which comes at once.

    Args:
        database: with the gateway's role.
        max_in_flight_per_partner: claimed, or released and unfinished, requests that a partner may have.
        limit: entries at most.
        claim_for: the time.

    Raises:
        ExhaustError: SERVICE_UNAVAILABLE, also when another gateway stands still in the middle of this.
    """
    async with database.transaction() as connection:
        await connection.execute(_LOCK, RELEASE_LOCK, f"{LOCK_TIMEOUT // timedelta(milliseconds=1)}ms")
        rows = await connection.fetch(_CLAIM, max_in_flight_per_partner, limit, claim_for)
        if rows:
            failpoint("relay.after_claim")
    return [_entry(row) for row in rows]


async def delete_released(database: Database, entries: Collection[OutboxEntry]) -> None:
    """Remove entries that Kafka has; from now on their requests have to show progress."""
    await database.fetch(_DELETE, *_keys(entries))


async def give_back(database: Database, entries: Collection[OutboxEntry]) -> None:
    """Let anybody claim entries that were not published."""
    await database.fetch(_GIVE_BACK, *_keys(entries))


def _keys(entries: Collection[OutboxEntry]) -> tuple[list[UUID], list[int]]:
    return [entry.request.request_id for entry in entries], [entry.attempt for entry in entries]


def _entry(row: Row) -> OutboxEntry:
    request = DatasetRequest(
        request_id=row["request_id"],
        dataset=row["dataset_id"],
        resource=row["resource"],
        days=DayRange(row["from_date"], row["to_date"]),
        tags=tuple(row["tags"]),
    )
    return OutboxEntry(
        request, row["partner_id"], row["attempt"], row["traceparent"], row["waited"], row["known_owner"]
    )
