"""The table webhook_deliveries, for the owners of webhooks: what they were told, and what is to be told again.

A trigger of the table requests writes a row in the transaction that ends a request (migration 0023). What delivers the
rows is in webhook_claims.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from exhaust.errors import ErrorCode, ExhaustError
from exhaust.postgres.webhooks import unknown_webhook

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from exhaust.postgres.database import Connection, Database

LISTED: Final = 50
MAX_REPLAYED: Final = 10_000
CHANNEL: Final = "webhook_deliveries"  # of NOTIFY: something is due

_STANDS: Final = "SELECT off_since FROM webhooks WHERE user_id = $1 AND webhook_id = $2 FOR KEY SHARE"
_LIST: Final = """
SELECT delivery_id, event, request_id, created_at, state, attempt, tried_at, http_status, reason, next_at
FROM webhook_deliveries WHERE webhook_id = $1 ORDER BY created_at DESC, delivery_id LIMIT $2
"""
_REPLAY_ONE: Final = """
UPDATE webhook_deliveries SET state = 'waiting', next_at = now(), failures = 0, reason = NULL
WHERE webhook_id = $1 AND delivery_id = $2 AND (claimed_until IS NULL OR claimed_until <= now())
"""
# What is due or in hand is on its way already, and a test is asked for anew.
_REPLAY_SINCE: Final = """
WITH wanted AS MATERIALIZED (
    SELECT delivery_id FROM webhook_deliveries
    WHERE webhook_id = $1 AND created_at >= $2 AND event <> 'webhook.test'
      AND (claimed_until IS NULL OR claimed_until <= now())
    ORDER BY created_at LIMIT $3
)
UPDATE webhook_deliveries d SET state = 'waiting', next_at = now(), failures = 0, reason = NULL
FROM wanted w WHERE d.delivery_id = w.delivery_id
"""
_EXISTS: Final = "SELECT FROM webhook_deliveries WHERE webhook_id = $1 AND delivery_id = $2"
_TEST: Final = """
INSERT INTO webhook_deliveries (webhook_id, event, data)
VALUES ($1, 'webhook.test', jsonb_build_object('webhookid', $1::uuid)) RETURNING delivery_id
"""
_WAKE: Final = "SELECT pg_notify($1, '')"


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a webhook was told, or is to be told.

    Attributes:
        state: waiting, delivered, failed, or skipped while the webhook was switched off.
        attempt: how often it was sent.
        tried_at: the last time; None before the first.
        http_status: of the last answer, or None.
        reason: why the last attempt failed, or None.
        next_at: the time of the next attempt; None when there will be none.
    """

    delivery_id: UUID
    event: str
    request_id: UUID | None
    created_at: datetime
    state: str
    attempt: int
    tried_at: datetime | None
    http_status: int | None
    reason: str | None
    next_at: datetime | None


async def list_deliveries(database: Database, user_id: int, webhook_id: UUID) -> list[Delivery]:
    """Return the last deliveries of a holder's webhook, the newest first.

    Raises:
        ExhaustError: NOT_FOUND.
    """
    async with database.transaction() as connection:
        if await connection.fetch_one(_STANDS, user_id, webhook_id) is None:
            raise unknown_webhook()
        return [Delivery(**dict(row)) for row in await connection.fetch(_LIST, webhook_id, LISTED)]


async def replay(
    database: Database, user_id: int, webhook_id: UUID, *, since: datetime | None = None, delivery: UUID | None = None
) -> int:
    """Make deliveries due again, under their old ids: one, or those since a time. Return how many.

    Raises:
        ExhaustError: NOT_FOUND for an unknown webhook or delivery; INVALID_DATA_ERROR with status 409 while the
            webhook is switched off.
    """
    async with database.transaction() as connection:
        await _require_on(connection, user_id, webhook_id)
        if delivery is None:
            count = await connection.execute(_REPLAY_SINCE, webhook_id, since, MAX_REPLAYED)
        elif await connection.fetch_one(_EXISTS, webhook_id, delivery) is None:
            raise ExhaustError(ErrorCode.NOT_FOUND, "this webhook has no such delivery; it may be too old")
        else:
            count = await connection.execute(_REPLAY_ONE, webhook_id, delivery)
        await connection.execute(_WAKE, CHANNEL)
    return count


async def put_test(database: Database, user_id: int, webhook_id: UUID) -> UUID:
    """Make a delivery of the event webhook.test due now, and return its id.

    Raises:
        ExhaustError: NOT_FOUND; INVALID_DATA_ERROR with status 409 while the webhook is switched off.
    """
    async with database.transaction() as connection:
        await _require_on(connection, user_id, webhook_id)
        row = await connection.fetch_one(_TEST, webhook_id)
        await connection.execute(_WAKE, CHANNEL)
    if row is None:
        raise LookupError("an insert returns its row")
    delivery_id: UUID = row["delivery_id"]
    return delivery_id


async def _require_on(connection: Connection, user_id: int, webhook_id: UUID) -> None:
    webhook = await connection.fetch_one(_STANDS, user_id, webhook_id)
    if webhook is None:
        raise unknown_webhook()
    if webhook["off_since"] is not None:
        raise ExhaustError(
            ErrorCode.INVALID_DATA_ERROR,
            'the webhook is switched off; switch it on with PATCH {"enabled": true} first',
            status=409,
        )
