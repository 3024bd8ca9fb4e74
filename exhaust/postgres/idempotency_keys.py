"""The table of idempotency keys: the request that each key stands for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from uuid import UUID

    from exhaust.postgres.database import Connection

MAX_KEY_AGE: Final = timedelta(hours=24)

# A deletion takes keys with it, but not one that another transaction gives to the request at that moment.
_FORGET_USELESS: Final = """
DELETE FROM idempotency_keys k WHERE user_id = $1 AND key = $2 AND (
    created_at <= now() - $3::interval
    OR EXISTS (SELECT FROM requests r WHERE r.request_id = k.request_id AND r.deleted_at IS NOT NULL)
)
"""
_TAKE: Final = """
INSERT INTO idempotency_keys (user_id, key, fingerprint, request_id) VALUES ($1, $2, $3, $4)
ON CONFLICT DO NOTHING
"""
_FIND: Final = "SELECT fingerprint, request_id FROM idempotency_keys WHERE user_id = $1 AND key = $2"
_POINT_TO: Final = "UPDATE idempotency_keys SET request_id = $3 WHERE user_id = $1 AND key = $2"
# SKIP LOCKED: concurrent sweeps do not block one another. As a subselect it might run for each row, LIMIT included.
_SWEEP: Final = """
WITH expired AS MATERIALIZED (
    SELECT user_id, key FROM idempotency_keys WHERE user_id = $1 AND created_at <= now() - $2::interval
    ORDER BY created_at LIMIT $3 FOR UPDATE SKIP LOCKED
)
DELETE FROM idempotency_keys k USING expired e WHERE (k.user_id, k.key) = (e.user_id, e.key)
"""


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """A caller's key.

    Attributes:
        user_id: whose key it is; two users may use the same text.
        text: as the caller wrote it.
    """

    user_id: int
    text: str


@dataclass(frozen=True, slots=True)
class KeyedRequest:
    """The request that a key stands for.

    Attributes:
        fingerprint: of everything that makes two submits the same.
    """

    request_id: UUID
    fingerprint: bytes


async def forget_useless_key(connection: Connection, key: IdempotencyKey, max_age: timedelta) -> None:
    """Delete a key that is older than `max_age`, or stands for a request that its partner has deleted."""
    await connection.execute(_FORGET_USELESS, key.user_id, key.text, max_age)


async def take_key(connection: Connection, key: IdempotencyKey, request: KeyedRequest) -> bool:
    """Let a key stand for a request; return False when it stands for one already.

    Of several transactions at once with the same key the first takes it; the others wait until that one has ended.
    """
    return bool(await connection.execute(_TAKE, key.user_id, key.text, request.fingerprint, request.request_id))


async def find_keyed_request(connection: Connection, key: IdempotencyKey) -> KeyedRequest | None:
    """Return the request that a key stands for, or None when the key is unknown."""
    row = await connection.fetch_one(_FIND, key.user_id, key.text)
    return KeyedRequest(row["request_id"], row["fingerprint"]) if row else None


async def point_key_to(connection: Connection, key: IdempotencyKey, request_id: UUID) -> None:
    """Let a key stand for another request."""
    await connection.execute(_POINT_TO, key.user_id, key.text, request_id)


async def sweep_expired_keys(connection: Connection, user_id: int, max_age: timedelta, *, limit: int) -> None:
    """Delete a user's oldest keys that are older than `max_age`, at most `limit` of them."""
    await connection.execute(_SWEEP, user_id, max_age, limit)
