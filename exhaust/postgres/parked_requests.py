"""Parked requests, in the table of requests: rows that cannot be handled, set aside so that they stop no other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from exhaust.postgres.database import Connection, Database

MAX_REASON_LENGTH: Final = 500

# The first reason stays.
_PARK: Final = """
UPDATE requests SET parked_at = now(), parked_reason = $2 WHERE request_id = $1 AND parked_at IS NULL
"""
_RELEASE: Final = """
UPDATE requests SET parked_at = NULL, parked_reason = NULL, moved_at = now()
WHERE request_id = $1 AND parked_at IS NOT NULL
"""
_LIST: Final = """
SELECT request_id, user_id, dataset_id, parked_at, parked_reason FROM requests
WHERE parked_at IS NOT NULL ORDER BY parked_at DESC LIMIT $1
"""


@dataclass(frozen=True, slots=True)
class ParkedRequest:
    """A request that waits for an operator."""

    request_id: UUID
    user_id: int
    dataset: str
    parked_at: datetime
    reason: str


async def park_request(connection: Connection, request_id: UUID, reason: str) -> None:
    """Park a request: relay and reaper pass it over from now on."""
    await connection.execute(_PARK, request_id, reason.replace("\0", "")[:MAX_REASON_LENGTH])


async def list_parked_requests(database: Database, *, limit: int) -> Sequence[ParkedRequest]:
    """Return the parked requests, the latest first."""
    rows = await database.fetch(_LIST, limit)
    return [ParkedRequest(*row.values()) for row in rows]


async def release_parked_request(connection: Connection, request_id: UUID) -> bool:
    """Let relay and reaper handle a request again; return False when it is not parked."""
    return bool(await connection.execute(_RELEASE, request_id))
