"""The table of requests, as the gateway writes and finds them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from exhaust.domain.requests import State

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta
    from uuid import UUID

    from exhaust.domain.requests import DatasetRequest, Submitter
    from exhaust.postgres.database import Connection, Database

INSERT: Final = """
INSERT INTO requests
    (request_id, user_id, partner_id, username, dataset_id, resource, from_date, to_date, tags, days_total, synchronous)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
ON CONFLICT (user_id, dataset_id, resource, from_date, to_date, tags) WHERE state IN ('submitted', 'inprogress')
DO NOTHING
RETURNING request_id
"""
_FIND_IDENTICAL: Final = """
SELECT request_id FROM requests
WHERE user_id = $1 AND dataset_id = $2 AND resource = $3 AND from_date = $4 AND to_date = $5 AND tags = $6
ORDER BY created_at DESC LIMIT 1
"""
COUNT_OPEN: Final = """
SELECT count(*) AS open FROM (
    SELECT FROM requests WHERE partner_id = $1 AND state IN ('submitted', 'inprogress') LIMIT $2
) found
"""
_FIND_RECENT_OUTCOME: Final = """
SELECT outcome FROM requests
WHERE dataset_id = $1 AND resource = $2 AND from_date = $3 AND to_date = $4 AND tags = '{}'
  AND state = 'complete' AND ended_at > now() - $5::interval AND outcome ? 'digest'
ORDER BY ended_at DESC LIMIT 1
"""
_FIND_STATE: Final = "SELECT state, outcome FROM requests WHERE request_id = $1"


@dataclass(frozen=True, slots=True)
class RequestState:
    """The state of a request.

    Attributes:
        outcome: the archive of a complete request, the error of a failed one, else None.
    """

    state: State
    outcome: Mapping[str, Any] | None


async def insert_request(connection: Connection, request: DatasetRequest, submitter: Submitter) -> bool:
    """Insert a request; return False when the submitter has an identical one in progress."""
    inserted = await connection.fetch_one(
        INSERT,
        request.request_id,
        submitter.user_id,
        submitter.partner_id,
        submitter.username,
        request.dataset,
        request.resource,
        request.days.first,
        request.days.last,
        list(request.tags),
        len(request.days),
        submitter.synchronous,
    )
    return inserted is not None


async def find_identical_request(connection: Connection, request: DatasetRequest, user_id: int) -> UUID | None:
    """Return the id of a user's latest request for the same data, in progress or ended."""
    row = await connection.fetch_one(
        _FIND_IDENTICAL,
        user_id,
        request.dataset,
        request.resource,
        request.days.first,
        request.days.last,
        list(request.tags),
    )
    return row["request_id"] if row else None


async def count_open_requests(connection: Connection, partner_id: str, *, at_most: int) -> int:
    """Count a partner's requests in progress, but not further than `at_most`."""
    row = await connection.fetch_one(COUNT_OPEN, partner_id, at_most)
    return int(row["open"]) if row else 0


async def find_recent_outcome(
    database: Database, request: DatasetRequest, *, max_age: timedelta
) -> Mapping[str, Any] | None:
    """Return the archive of the latest complete request for the same data without tags, whoever submitted it.

    Args:
        database: with the runtime role.
        request: says which data.
        max_age: how long ago that request may have been completed.
    """
    row = await database.fetch_one(
        _FIND_RECENT_OUTCOME,
        request.dataset,
        request.resource,
        request.days.first,
        request.days.last,
        max_age,
    )
    return row["outcome"] if row else None


async def find_request_state(database: Database, request_id: UUID) -> RequestState | None:
    """Return the state of a request, or None when there is no such request."""
    row = await database.fetch_one(_FIND_STATE, request_id)
    return RequestState(State(row["state"]), row["outcome"]) if row else None
