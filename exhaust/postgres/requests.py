"""The table of requests, as the gateway writes and finds them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Final

from exhaust.domain.days import DayRange
from exhaust.domain.requests import partner_resource
from exhaust.domain.state_machine import State
from exhaust.postgres.key_usage import KeyUsage
from telemetry.resource_ids import resource_id

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta
    from uuid import UUID

    from exhaust.domain.requests import DatasetRequest, Submitter
    from exhaust.postgres.database import Connection, Database

# One statement, and so one round trip and one transaction: a request, its place in the outbox and its row in the audit
# are written together, or nothing is. Submits at the same instant do not see one another: a partner can pass the limit
# by as many as are under way. What accepted requests still build is not known: a user can pass a quota by as much.
ACCEPT: Final = """
WITH present AS (
    SELECT o.requests, u.day, u.days_built, u.bytes_built,
           (u.day + 1)::timestamp AT TIME ZONE 'UTC' - now() AS ends_in,
           o.requests < $13::bigint
               AND coalesce(u.days_built < $15::bigint AND u.bytes_built < $16::bigint, true) AS within_limits
    FROM (
        SELECT count(*) AS requests FROM (
            SELECT FROM requests
            WHERE partner_resource = $12::text AND state IN ('submitted', 'inprogress') LIMIT $13::bigint
        ) found
    ) o LEFT JOIN key_usage u ON u.user_id = $2::bigint AND u.day = (now() AT TIME ZONE 'UTC')::date
), accepted AS (
    INSERT INTO requests
        (request_id, user_id, partner_id, username, dataset_id, resource, from_date, to_date, tags, days_total,
         synchronous, partner_resource)
    SELECT $1::uuid, $2::bigint, $3::text, $4::text, $5::text, $6::text, $7::date, $8::date, $9::text[], $10::integer,
           $11::boolean, $12::text
    FROM present WHERE present.within_limits
    ON CONFLICT (user_id, partner_resource, dataset_id, resource, from_date, to_date, tags)
        WHERE state IN ('submitted', 'inprogress')
    DO NOTHING
    RETURNING request_id
), waiting AS (
    INSERT INTO outbox (request_id, attempt, traceparent) SELECT request_id, 1, $14::text FROM accepted
)
SELECT p.*, a.request_id,
       CASE WHEN a.request_id IS NOT NULL THEN record_audit(
           'user/' || $2::bigint, 'submit', 'request/' || $1::uuid,
           jsonb_build_object('partner', $3::text, 'username', $4::text)
       ) END
FROM present p LEFT JOIN accepted a ON true
"""
_FIND_IDENTICAL: Final = """
SELECT request_id, state FROM requests
WHERE user_id = $1 AND dataset_id = $2 AND resource = $3 AND from_date = $4 AND to_date = $5 AND tags = $6
  AND partner_resource = $7 AND deleted_at IS NULL
ORDER BY created_at DESC LIMIT 1
"""
_FIND_RECENT_OUTCOME: Final = """
SELECT outcome FROM requests
WHERE dataset_id = $1 AND resource = $2 AND from_date = $3 AND to_date = $4 AND tags = '{}'
  AND state = 'complete' AND ended_at > now() - $5::interval AND outcome ? 'digest' AND deleted_at IS NULL
ORDER BY ended_at DESC LIMIT 1
"""
_PARTNERS_WITHOUT_RESOURCE: Final = "SELECT DISTINCT partner_id FROM requests WHERE partner_resource = ''"
_FILL_PARTNER_RESOURCE: Final = """
UPDATE requests SET partner_resource = CASE WHEN resource = partner_id THEN resource ELSE $2 END
WHERE partner_id = $1 AND partner_resource = ''
"""
_FIND_STATE: Final = "SELECT state, outcome FROM requests WHERE request_id = $1 AND deleted_at IS NULL"

_FIND_ASKED: Final = """
SELECT partner_id, dataset_id, resource, readable_date(from_date) AS from_date, readable_date(to_date) AS to_date, tags,
       readable_time(created_at) AS created_at
FROM requests WHERE request_id = $1 AND deleted_at IS NULL
"""


@dataclass(frozen=True, slots=True)
class AskedFor:
    """What a request asks for, for whom, and since when."""

    partner_id: str
    dataset: str
    resource: str
    days: DayRange
    tags: tuple[str, ...]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class RequestState:
    """The state of a request.

    Attributes:
        outcome: the archive of a complete request, the error of a failed one, else None.
    """

    state: State
    outcome: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class FoundRequest:
    """A request that was found by what it asks for."""

    request_id: UUID
    state: State


class Acceptance(Enum):
    """The outcome of an attempt to accept a request, where no limit refuses it."""

    ACCEPTED = auto()
    IDENTICAL = auto()  # the submitter has an identical one in progress


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of new requests.

    Attributes:
        open_requests: unfinished requests that a partner may have.
        days_built: days of telemetry that may be built for a user on a day of UTC.
        bytes_built: of the lines in them, uncompressed.
    """

    open_requests: int
    days_built: int
    bytes_built: int


@dataclass(frozen=True, slots=True)
class Exceeded:
    """What stands against a new request: at least one of the limits is reached.

    Attributes:
        open_requests: of the partner, counted no further than its limit.
        built: for the user on the present day; None when nothing was.
    """

    open_requests: int
    built: KeyUsage | None


async def accept_request(
    database: Connection | Database,
    request: DatasetRequest,
    submitter: Submitter,
    traceparent: str,
    limits: Limits,
) -> Acceptance | Exceeded:
    """Write a request, its place in the outbox and its row in the audit, or nothing of it.

    Args:
        database: a transaction to write in; or the pool, where the statement is a transaction of its own.
        request: with an id that is new.
        submitter: who asks, and for which partner.
        traceparent: of the call (W3C Trace Context), or "".
        limits: of the partner and the user.
    """
    row = await database.fetch_one(
        ACCEPT,
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
        limits.open_requests,
        traceparent,
        limits.days_built,
        limits.bytes_built,
    )
    if row is None:
        raise LookupError("the statement returns one row, whatever is in the tables")
    if row["request_id"] is not None:
        return Acceptance.ACCEPTED
    if row["within_limits"]:
        return Acceptance.IDENTICAL
    built = KeyUsage(row["day"], row["days_built"], row["bytes_built"], row["ends_in"]) if row["day"] else None
    return Exceeded(row["requests"], built)


async def find_identical_request(
    database: Connection | Database, request: DatasetRequest, submitter: Submitter
) -> FoundRequest | None:
    """Return a user's latest request for the same data and partner, in progress or ended."""
    row = await database.fetch_one(
        _FIND_IDENTICAL,
        submitter.user_id,
        request.dataset,
        request.resource,
        request.days.first,
        request.days.last,
        list(request.tags),
        partner_resource(submitter.partner_id, request.resource),
    )
    return FoundRequest(row["request_id"], State(row["state"])) if row else None


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
    """Return the state of a request, or None when there is no such request, or its partner has deleted it."""
    row = await database.fetch_one(_FIND_STATE, request_id)
    return RequestState(State(row["state"]), row["outcome"]) if row else None


async def find_asked(database: Database, request_id: UUID) -> AskedFor | None:
    """Return what a request asks for, or None as of its state; the caller has checked who may know it."""
    row = await database.fetch_one(_FIND_ASKED, request_id)
    if row is None:
        return None
    return AskedFor(
        partner_id=row["partner_id"],
        dataset=row["dataset_id"],
        resource=row["resource"],
        days=DayRange(row["from_date"], row["to_date"]),
        tags=tuple(row["tags"]),
        created_at=row["created_at"],
    )


async def fill_partner_resources(connection: Connection) -> None:
    """Give requests of earlier versions the resource id of their partner, which SQL alone cannot compute."""
    for row in await connection.fetch(_PARTNERS_WITHOUT_RESOURCE):
        partner_id = row["partner_id"]
        await connection.execute(_FILL_PARTNER_RESOURCE, partner_id, resource_id(partner_id))
