"""The table of requests, as the gateway writes and finds them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from exhaust.domain.requests import State, partner_resource
from telemetry.resource_ids import resource_id

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta
    from uuid import UUID

    from exhaust.domain.requests import DatasetRequest, Submitter
    from exhaust.postgres.database import Connection, Database

INSERT: Final = """
INSERT INTO requests
    (request_id, user_id, partner_id, username, dataset_id, resource, from_date, to_date, tags, days_total, synchronous,
     partner_resource)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
ON CONFLICT (user_id, partner_resource, dataset_id, resource, from_date, to_date, tags)
    WHERE state IN ('submitted', 'inprogress')
DO NOTHING
RETURNING request_id
"""
_FIND_IDENTICAL: Final = """
SELECT request_id FROM requests
WHERE user_id = $1 AND dataset_id = $2 AND resource = $3 AND from_date = $4 AND to_date = $5 AND tags = $6
  AND partner_resource = $7
ORDER BY created_at DESC LIMIT 1
"""
COUNT_OPEN: Final = """
SELECT count(*) AS open FROM (
    SELECT FROM requests WHERE partner_resource = $1 AND state IN ('submitted', 'inprogress') LIMIT $2
) found
"""
_FIND_RECENT_OUTCOME: Final = """
SELECT outcome FROM requests
WHERE dataset_id = $1 AND resource = $2 AND from_date = $3 AND to_date = $4 AND tags = '{}'
  AND state = 'complete' AND ended_at > now() - $5::interval AND outcome ? 'digest'
ORDER BY ended_at DESC LIMIT 1
"""
_PARTNERS_WITHOUT_RESOURCE: Final = "SELECT DISTINCT partner_id FROM requests WHERE partner_resource = ''"
_FILL_PARTNER_RESOURCE: Final = """
UPDATE requests SET partner_resource = CASE WHEN resource = partner_id THEN resource ELSE $2 END
WHERE partner_id = $1 AND partner_resource = ''
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
        partner_resource(submitter.partner_id, request.resource),
    )
    return inserted is not None


async def find_identical_request(connection: Connection, request: DatasetRequest, submitter: Submitter) -> UUID | None:
    """Return the id of a user's latest request for the same data and partner, in progress or ended."""
    row = await connection.fetch_one(
        _FIND_IDENTICAL,
        submitter.user_id,
        request.dataset,
        request.resource,
        request.days.first,
        request.days.last,
        list(request.tags),
        partner_resource(submitter.partner_id, request.resource),
    )
    return row["request_id"] if row else None


async def count_open_requests(connection: Connection, resource: str, *, at_most: int) -> int:
    """Count the requests in progress of the partner with this resource id, but not further than `at_most`."""
    row = await connection.fetch_one(COUNT_OPEN, resource, at_most)
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


async def fill_partner_resources(connection: Connection) -> None:
    """Give requests of earlier versions the resource id of their partner, which SQL alone cannot compute."""
    for row in await connection.fetch(_PARTNERS_WITHOUT_RESOURCE):
        partner_id = row["partner_id"]
        await connection.execute(_FILL_PARTNER_RESOURCE, partner_id, resource_id(partner_id))
