"""Idempotency keys: a submit that is repeated with the same Idempotency-Key creates one request.

The key is taken in the transaction that creates the request. Of several submits at once with the same key the first
takes it; the others wait in PostgreSQL until that one has committed, and then find its request.
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import TYPE_CHECKING, Final

import orjson

from exhaust.errors import ErrorCode, ExhaustError
from exhaust.postgres.idempotency_keys import (
    MAX_KEY_AGE,
    KeyedRequest,
    find_keyed_request,
    forget_useless_key,
    point_key_to,
    sweep_expired_keys,
    take_key,
)
from exhaust.process.failpoints import failpoint

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from uuid import UUID

    from exhaust.domain.requests import DatasetRequest
    from exhaust.postgres.database import Connection
    from exhaust.postgres.idempotency_keys import IdempotencyKey

HEADER: Final = "Idempotency-Key"
SWEEP_LIMIT: Final = 100
_KEY: Final = re.compile(r"[\x21-\x7e]{1,128}", re.ASCII)


def key_from(headers: Mapping[str, str]) -> str | None:
    """Return the caller's key, or None.

    Raises:
        ExhaustError: INVALID_DATA_ERROR for a key that is not 1 to 128 visible ASCII characters.
    """
    given = headers.get(HEADER)
    if given is not None and not _KEY.fullmatch(given):
        raise ExhaustError(
            ErrorCode.INVALID_DATA_ERROR, f"the header {HEADER} must have 1 to 128 visible ASCII characters"
        )
    return given


def fingerprint_of(request: DatasetRequest, *, partner_id: str, username: str) -> bytes:
    """Return the SHA-256 of everything that is asked, and for whom; the request's id is not part of it."""
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


async def create_once(
    connection: Connection,
    key: IdempotencyKey,
    fingerprint: bytes,
    request_id: UUID,
    create: Callable[[], Awaitable[UUID]],
) -> UUID:
    """Create a request, unless its key was used before; return the id of the request that the key stands for.

    Args:
        connection: the submit's transaction; nothing may have been written in it yet.
        key: the caller's.
        fingerprint: of what is asked with it.
        request_id: the id that `create` will use.
        create: creates the request in the same transaction; returns its id, or that of an identical open one.

    Raises:
        ExhaustError: INVALID_DATA_ERROR with status 422 when the key was used for something else.
    """
    await forget_useless_key(connection, key, MAX_KEY_AGE)
    if not await take_key(connection, key, KeyedRequest(request_id, fingerprint)):
        return await _created_before(connection, key, fingerprint)
    failpoint("idempotency.after_take")
    created = await create()
    failpoint("idempotency.after_create")
    if created != request_id:
        await point_key_to(connection, key, created)
    await sweep_expired_keys(connection, key.user_id, MAX_KEY_AGE, limit=SWEEP_LIMIT)
    return created


async def _created_before(connection: Connection, key: IdempotencyKey, fingerprint: bytes) -> UUID:
    earlier = await find_keyed_request(connection, key)
    if earlier is None:  # it expired in this very moment, and another submit swept it
        raise ExhaustError(
            ErrorCode.SERVICE_UNAVAILABLE, f"the request of this {HEADER} has just been forgotten; try again"
        )
    if earlier.fingerprint != fingerprint:
        raise ExhaustError(
            ErrorCode.INVALID_DATA_ERROR,
            f"this {HEADER} was used for another request; use a new one for each request",
            status=422,
        )
    return earlier.request_id
