"""The table webhook_deliveries, for those who deliver: claims with a lease, and what became of each attempt."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from exhaust.postgres.webhooks import SKIP_WAITING, SWITCHED_OFF
from exhaust.process.failpoints import failpoint

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from uuid import UUID

    from exhaust.postgres.database import Connection, Database

CLAIM_LOCK: Final = 7_203_004  # any constant; one process claims at a time
LOCK_TIMEOUT: Final = timedelta(milliseconds=500)
FAILING_AT_MOST: Final = timedelta(days=5)

# A claim that the server forgets in a crash is made again, so its commit need not wait for the disk.
_LOCK: Final = """
SELECT set_config('lock_timeout', $2, true), set_config('synchronous_commit', 'off', true), pg_advisory_xact_lock($1)
"""
# Of each webhook its share less what is in hand, so that the longest queue takes no place of another's.
_CLAIM: Final = """
WITH chosen AS MATERIALIZED (
    SELECT d.delivery_id, w.url, w.secret, w.old_secret, w.old_secret_until
    FROM live_webhooks w
    CROSS JOIN LATERAL (
        SELECT greatest($2 - count(*), 0) AS places FROM webhook_deliveries h
        WHERE h.webhook_id = w.webhook_id AND h.claimed_until > now()
    ) free
    CROSS JOIN LATERAL (
        SELECT delivery_id, next_at FROM webhook_deliveries d
        WHERE d.webhook_id = w.webhook_id AND d.next_at <= now() ORDER BY d.next_at LIMIT free.places
    ) d
    WHERE (w.slow OR w.failing_since IS NOT NULL) = $1
    ORDER BY d.next_at LIMIT $3
)
UPDATE webhook_deliveries d
SET claimed_until = now() + $4::interval, next_at = now() + $4::interval, attempt = d.attempt + 1, tried_at = now()
FROM chosen c WHERE d.delivery_id = c.delivery_id AND d.next_at <= now()
RETURNING d.delivery_id, d.webhook_id, d.event, d.data, d.created_at, d.attempt, d.failures, c.url, c.secret,
    CASE WHEN c.old_secret_until > now() THEN c.old_secret END AS old_secret
"""
# The webhook's row before the delivery's, as everywhere, so that no two wait for one another.
_SUCCEEDED: Final = """
UPDATE webhooks SET failing_since = NULL, slow = $2
WHERE webhook_id = $1 AND (failing_since IS NOT NULL OR slow <> $2)
"""
_FAILED: Final = """
UPDATE webhooks SET failing_since = coalesce(failing_since, now()),
    off_since = CASE WHEN $2 OR failing_since < now() - $3::interval THEN now() END,
    off_reason = CASE WHEN $2 THEN 'gone' WHEN failing_since < now() - $3::interval THEN 'failing' END
WHERE webhook_id = $1 AND off_since IS NULL
  AND (failing_since IS NULL OR $2 OR failing_since < now() - $3::interval)
RETURNING off_since IS NOT NULL AS off
"""
# Only of the attempt that was made: when its claim had run out, another one is on its way.
_RECORD: Final = """
UPDATE webhook_deliveries SET claimed_until = NULL, http_status = $3, reason = $4, state = $5,
    next_at = now() + $6::interval, failures = failures + CASE WHEN $5 = 'delivered' THEN 0 ELSE 1 END
WHERE delivery_id = $1 AND attempt = $2
"""
_WAITING: Final = """
SELECT count(*) AS waiting, coalesce(extract(epoch FROM now() - min(d.next_at)), 0)::float8 AS oldest
FROM live_webhooks w JOIN webhook_deliveries d USING (webhook_id) WHERE d.next_at <= now()
"""


@dataclass(frozen=True, slots=True)
class ClaimedDelivery:
    """A delivery that nobody else sends until its lease ends.

    Attributes:
        attempt: counted from 1, over all replays.
        failures: before it, since it became due afresh.
        secret: sealed, as the next.
        old_secret: that signs too; None when there is none, or its time is over.
    """

    delivery_id: UUID
    webhook_id: UUID
    event: str
    data: Mapping[str, Any]
    created_at: datetime
    attempt: int
    failures: int
    url: str
    secret: bytes
    old_secret: bytes | None


@dataclass(frozen=True, slots=True)
class AttemptResult:
    """What became of an attempt.

    Attributes:
        http_status: of the answer; None when there was none.
        reason: why it failed; None when it succeeded.
        retry_after: until the next attempt; None when there will be none.
    """

    http_status: int | None
    reason: str | None = None
    retry_after: timedelta | None = None


async def claim_deliveries(
    database: Database, *, slow: bool, share: int, limit: int, claim_for: timedelta
) -> list[ClaimedDelivery]:
    """Claim what is due, and return it.

    Args:
        database: with the status service's role.
        slow: of webhooks that fail or answer slowly, else of the others.
        share: of one webhook at once, by all who deliver.
        limit: at most.
        claim_for: the lease.

    Raises:
        ExhaustError: SERVICE_UNAVAILABLE.
    """
    async with database.transaction() as connection:
        await connection.execute(_LOCK, CLAIM_LOCK, f"{LOCK_TIMEOUT // timedelta(milliseconds=1)}ms")
        rows = await connection.fetch(_CLAIM, slow, share, limit, claim_for)
    if rows:
        failpoint("webhook.after_claim")
    return [ClaimedDelivery(**dict(row)) for row in rows]


async def record_success(database: Database, delivery: ClaimedDelivery, result: AttemptResult, *, slow: bool) -> None:
    """Record that a delivery arrived, and if its webhook took long."""
    async with database.transaction() as connection:
        await connection.execute(_SUCCEEDED, delivery.webhook_id, slow)
        await _record(connection, delivery, result, "delivered")


async def record_failure(
    database: Database, delivery: ClaimedDelivery, result: AttemptResult, *, gone: bool = False
) -> bool:
    """Record that a delivery did not arrive; return True when that switched its webhook off.

    Args:
        database: with the status service's role.
        delivery: that was claimed.
        result: of the attempt.
        gone: the receiver wants nothing any more.
    """
    async with database.transaction() as connection:
        row = await connection.fetch_one(_FAILED, delivery.webhook_id, gone, FAILING_AT_MOST)
        off = row is not None and bool(row["off"])
        await _record(connection, delivery, result, "failed" if result.retry_after is None else "waiting")
        if off:
            await connection.execute(SKIP_WAITING, delivery.webhook_id, SWITCHED_OFF)
    return off


async def _record(connection: Connection, delivery: ClaimedDelivery, result: AttemptResult, state: str) -> None:
    await connection.execute(
        *(_RECORD, delivery.delivery_id, delivery.attempt),
        *(result.http_status, result.reason, state, result.retry_after),
    )


async def count_waiting(database: Database) -> tuple[int, timedelta]:
    """Return how many deliveries are due, and for how long the oldest of them is."""
    row = await database.fetch_one(_WAITING)
    return (row["waiting"], timedelta(seconds=max(row["oldest"], 0))) if row else (0, timedelta(0))
