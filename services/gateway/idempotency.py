"""One intent, one request: what an Idempotency-Key stands for.

The key is taken in the transaction that files the request. Of several submits at once with the same key the first
takes it; the others wait in PostgreSQL until that one has committed, and then find its request.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Final

import orjson

from exhaust.errors import ErrorCode, ExhaustError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from uuid import UUID

    from exhaust.domain.requests import DatasetRequest
    from exhaust.postgres.database import Connection

HEADER: Final = "Idempotency-Key"
KEPT_FOR: Final = timedelta(hours=24)
SWEPT_AT_ONCE: Final = 100
_KEY: Final = re.compile(r"[\x21-\x7e]{1,128}", re.ASCII)

_FORGET: Final = "DELETE FROM idempotency_keys WHERE user_id = $1 AND key = $2 AND created_at <= now() - $3::interval"
_TAKE: Final = """
INSERT INTO idempotency_keys (user_id, key, fingerprint, request_id) VALUES ($1, $2, $3, $4)
ON CONFLICT DO NOTHING
"""
_TAKEN: Final = "SELECT fingerprint, request_id FROM idempotency_keys WHERE user_id = $1 AND key = $2"
_POINT: Final = "UPDATE idempotency_keys SET request_id = $3 WHERE user_id = $1 AND key = $2"
# SKIP LOCKED: others sweep too, and nobody waits for a broom.
_SWEEP: Final = """
DELETE FROM idempotency_keys WHERE (user_id, key) IN (
    SELECT user_id, key FROM idempotency_keys WHERE user_id = $1 AND created_at <= now() - $2::interval
    ORDER BY created_at LIMIT $3 FOR UPDATE SKIP LOCKED
)
"""


@dataclass(frozen=True, slots=True)
class Intent:
    """A key and what was asked with it.

    Attributes:
        user_id: whose key it is; two users may use the same text.
        fingerprint: of everything that makes two submits the same.
    """

    user_id: int
    key: str
    fingerprint: bytes


def key_from(headers: Mapping[str, str]) -> str | None:
    """The caller's key; None when there is none.

    Raises:
        ExhaustError: INVALID_DATA_ERROR when it is not 1 to 128 visible ASCII characters.
    """
    given = headers.get(HEADER)
    if given is not None and not _KEY.fullmatch(given):
        raise ExhaustError(
            ErrorCode.INVALID_DATA_ERROR, f"the header {HEADER} must have 1 to 128 visible ASCII characters"
        )
    return given


def fingerprint_of(request: DatasetRequest, *, partner_id: str, username: str) -> bytes:
    """SHA-256 of what is asked, and for whom; not of the request's id."""
    asked = [
        request.dataset,
        request.resource,
        request.days.first.isoformat(),
        request.days.last.isoformat(),
        list(request.tags),
        partner_id,
        username,
    ]
    return sha256(orjson.dumps(asked)).digest()


async def once(
    connection: Connection, intent: Intent | None, request_id: UUID, file: Callable[[], Awaitable[UUID]]
) -> UUID:
    """File a request, unless its key was used before.

    Args:
        connection: the submit's transaction; nothing may have been written in it yet.
        intent: None when the caller gave no key; then the request is simply filed.
        request_id: the id that `file` will use.
        file: files the request in the same transaction; returns its id, or that of an identical open one.

    Returns:
        The id of the request that the key stands for.

    Raises:
        ExhaustError: INVALID_DATA_ERROR with status 422 when the key was used for something else.
    """
    if intent is None:
        return await file()
    mine = (intent.user_id, intent.key)
    await connection.execute(_FORGET, *mine, KEPT_FOR)
    if not await connection.execute(_TAKE, *mine, intent.fingerprint, request_id):
        return await _earlier(connection, intent)
    filed = await file()
    if filed != request_id:
        await connection.execute(_POINT, *mine, filed)
    await connection.execute(_SWEEP, intent.user_id, KEPT_FOR, SWEPT_AT_ONCE)
    return filed


async def _earlier(connection: Connection, intent: Intent) -> UUID:
    row = await connection.fetch_one(_TAKEN, intent.user_id, intent.key)
    if row is None:  # it grew too old in this very moment, and another submit swept it away
        raise ExhaustError(
            ErrorCode.SERVICE_UNAVAILABLE, f"the request of this {HEADER} has just been forgotten; try again"
        )
    if row["fingerprint"] != intent.fingerprint:
        raise ExhaustError(
            ErrorCode.INVALID_DATA_ERROR,
            f"this {HEADER} was used for another request; use a new one for each request",
            status=422,
        )
    found: UUID = row["request_id"]
    return found
