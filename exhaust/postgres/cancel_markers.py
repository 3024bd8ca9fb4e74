"""The table cancel_markers: cancelled attempts that the aggregators have not been told of yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from exhaust.domain.state_machine import State
from exhaust.errors import ErrorCode
from exhaust.postgres.request_progress import EndedRequest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from exhaust.postgres.database import Connection, Database

_PUT: Final = "INSERT INTO cancel_markers (request_id, attempt) VALUES ($1, $2) ON CONFLICT DO NOTHING"
_NEXT: Final = "SELECT request_id, attempt FROM cancel_markers ORDER BY cancelled_at LIMIT $1"
_REMOVE: Final = """
WITH told AS (
    DELETE FROM cancel_markers m USING unnest($1::uuid[], $2::int[]) AS w (request_id, attempt)
    WHERE (m.request_id, m.attempt) = (w.request_id, w.attempt) RETURNING m.request_id, m.cancelled_at
)
SELECT t.request_id, r.dataset_id, t.cancelled_at - r.created_at AS after FROM told t JOIN requests r USING (request_id)
"""


@dataclass(frozen=True, slots=True)
class CancelledAttempt:
    """An attempt on which nobody shall work any more."""

    request_id: UUID
    attempt: int


async def put_marker(connection: Connection, request_id: UUID, attempt: int) -> None:
    """Have the aggregators told of a cancelled attempt, in the transaction that cancels it."""
    await connection.execute(_PUT, request_id, attempt)


async def next_markers(database: Database, *, limit: int) -> list[CancelledAttempt]:
    """Return the attempts that the aggregators have to be told of, the oldest first."""
    return [CancelledAttempt(row["request_id"], row["attempt"]) for row in await database.fetch(_NEXT, limit)]


async def remove_markers(connection: Connection, told: Sequence[CancelledAttempt]) -> list[EndedRequest]:
    """Remove attempts that the aggregators can read of now; return those that were there, as ends of requests.

    Whoever cancels puts a marker, and one process removes it, so each cancel is returned once.
    """
    rows = await connection.fetch(_REMOVE, [each.request_id for each in told], [each.attempt for each in told])
    return [
        EndedRequest(row["request_id"], row["dataset_id"], State.CANCELLED.value, ErrorCode.CANCELLED, row["after"])
        for row in rows
    ]
