"""Requests that their partners have deleted, in the table of requests: marked first, and removed at last."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from uuid import UUID

    from exhaust.postgres.database import Connection, Database

# Workers see within two minutes that nobody wants an attempt any more, and may write objects until then.
SWEEP_AGAIN_AFTER: Final = timedelta(minutes=10)
KEPT_FOR: Final = timedelta(days=7)  # as long as Kafka keeps messages: no event is about a request that is unknown

_MARK: Final = "SELECT mark_request_deleted($1)"
_DUE: Final = """
SELECT request_id, attempt, deleted_at <= now() - $2::interval AS last FROM requests
WHERE sweep_at <= now() ORDER BY sweep_at LIMIT $1
"""
_POSTPONE: Final = """
UPDATE requests SET sweep_at = CASE
    WHEN now() < deleted_at + $2::interval THEN deleted_at + $2::interval ELSE deleted_at + $3::interval END
WHERE request_id = $1 RETURNING request_id
"""
_REMOVE: Final = "SELECT remove_deleted_request($1, $2)"


@dataclass(frozen=True, slots=True)
class DeletedRequest:
    """A request whose objects are to be removed now.

    Attributes:
        attempt: its latest.
        last: nothing can come any more; the row goes too.
    """

    request_id: UUID
    attempt: int
    last: bool


async def mark_deleted(connection: Connection, request_id: UUID) -> None:
    """Mark a request that has ended as deleted, and forget the idempotency keys that stand for it."""
    await connection.execute(_MARK, request_id)


async def due_deletions(database: Database, *, limit: int) -> list[DeletedRequest]:
    """Return requests whose objects are to be removed now, those first that wait longest."""
    rows = await database.fetch(_DUE, limit, KEPT_FOR)
    return [DeletedRequest(row["request_id"], row["attempt"], row["last"]) for row in rows]


async def end_sweep(database: Database, swept: DeletedRequest) -> None:
    """Note that the objects of a deleted request are gone: set the time of the next sweep, or remove the row at last.

    Raises:
        ExhaustError: SERVICE_UNAVAILABLE.
    """
    if swept.last:
        await database.fetch(_REMOVE, swept.request_id, KEPT_FOR)
    else:
        await database.fetch(_POSTPONE, swept.request_id, SWEEP_AGAIN_AFTER, KEPT_FOR)
