"""The removal of old rows, in small batches, by the time of the database.

Services may only call the functions of the migrations 0012 and 0023, which take no row that is young or still needed.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

from exhaust.postgres.idempotency_keys import MAX_KEY_AGE

if TYPE_CHECKING:
    from datetime import timedelta

    from exhaust.postgres.database import Database
    from exhaust.settings import RetentionSettings

BATCH: Final = 500  # rows that one statement removes: it takes milliseconds, and locks no others
PRUNE_LOCK: Final = 7_203_003  # any constant; one process prunes at a time


class Prunable(StrEnum):
    """What is removed when it is old.

    REQUESTS have ended; their days, their rows in the outbox and their idempotency keys go with them. PARKED are
    requests that nobody could handle, and that have not ended otherwise.
    """

    REQUESTS = "requests"
    PARKED = "parked"
    INBOX = "inbox"
    IDEMPOTENCY_KEYS = "idempotency-keys"
    WEBHOOK_DELIVERIES = "webhook-deliveries"


_PRUNE: Final = {
    Prunable.REQUESTS: "prune_requests",
    Prunable.PARKED: "prune_parked_requests",
    Prunable.INBOX: "prune_inbox",
    Prunable.IDEMPOTENCY_KEYS: "prune_idempotency_keys",
    Prunable.WEBHOOK_DELIVERIES: "prune_webhook_deliveries",
}
_COUNT: Final = {
    Prunable.REQUESTS: """
        SELECT count(*) AS old, (SELECT count(*) FROM requests) AS all FROM requests
        WHERE ended_at < now() - $1::interval AND state NOT IN ('submitted', 'inprogress')
    """,
    Prunable.PARKED: """
        SELECT count(*) FILTER (WHERE parked_at < now() - $1::interval) AS old, count(*) AS all
        FROM requests WHERE parked_at IS NOT NULL AND state IN ('submitted', 'inprogress')
    """,
    Prunable.INBOX: """
        SELECT count(*) AS old, (SELECT count(*) FROM inbox) AS all FROM inbox
        WHERE received_at < now() - $1::interval
    """,
    Prunable.IDEMPOTENCY_KEYS: """
        SELECT count(*) AS old, (SELECT count(*) FROM idempotency_keys) AS all FROM idempotency_keys
        WHERE created_at < now() - $1::interval
    """,
    Prunable.WEBHOOK_DELIVERIES: """
        SELECT count(*) FILTER (WHERE created_at < now() - $1::interval) AS old, count(*) AS all
        FROM webhook_deliveries
    """,
}


def retention_of(settings: RetentionSettings) -> dict[Prunable, timedelta]:
    """Return how long each kind of rows is kept."""
    return {
        Prunable.REQUESTS: settings.keep_requests,
        Prunable.PARKED: settings.keep_parked,
        Prunable.INBOX: settings.keep_inbox,
        Prunable.IDEMPOTENCY_KEYS: MAX_KEY_AGE,
        Prunable.WEBHOOK_DELIVERIES: settings.keep_webhook_deliveries,
    }


async def prune_batch(database: Database, what: Prunable, keep: timedelta, *, limit: int = BATCH) -> int:
    """Remove the oldest rows that are older than `keep`; return how many, which is less than `limit` at the end.

    While another process prunes, this removes nothing.

    Raises:
        ExhaustError: SERVICE_UNAVAILABLE.
    """
    row = await database.fetch_one(
        f"SELECT CASE WHEN pg_try_advisory_xact_lock($1) THEN {_PRUNE[what]}($2, $3) END AS removed",
        PRUNE_LOCK,
        keep,
        limit,
    )
    return (row["removed"] or 0) if row else 0


async def count_prunable(database: Database, what: Prunable, keep: timedelta) -> tuple[int, int]:
    """Return how many rows are older than `keep`, and how many there are, with the rights of the owner."""
    row = await database.fetch_one(_COUNT[what], keep)
    return (row["old"], row["all"]) if row else (0, 0)
