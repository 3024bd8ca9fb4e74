"""Requests as operators look for them: by state, partner, dataset, cause and age, newest or oldest first.

Those that their partners have deleted are in no list and no count.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from exhaust.domain.days import DayRange
from exhaust.domain.state_machine import State
from exhaust.postgres.database import PLAN_FOR_VALUES
from telemetry.resource_ids import canonical_resource_id, resource_id

if TYPE_CHECKING:
    from datetime import datetime, timedelta
    from uuid import UUID

    from exhaust.postgres.database import Database, Row
    from exhaust.postgres.request_views import PageCursor

_PAGE: Final = """
WITH page AS (
    SELECT request_id, partner_id, dataset_id, resource, state, attempt, from_date, to_date, created_at, moved_at,
           ended_at, parked_at, parked_reason, outcome
    FROM requests
    WHERE deleted_at IS NULL
      AND ($1::request_state[] IS NULL OR state = ANY ($1))
      AND (NOT $2 OR parked_at IS NOT NULL)
      AND ($3::text[] IS NULL OR partner_resource = ANY ($3))
      AND ($4::text[] IS NULL OR dataset_id = ANY ($4))
      AND ($5::text IS NULL OR outcome->>'code' = $5)
      AND ($6::text IS NULL OR outcome->>'object' = $6)
      AND ($7::interval IS NULL OR created_at < now() - $7)
      AND ($8::timestamptz IS NULL OR (created_at, request_id) {behind} ($8, $9))
    ORDER BY created_at {order}, request_id {order} LIMIT $10
)
SELECT r.request_id, r.partner_id, r.dataset_id, r.resource, r.state, r.attempt, r.parked_reason,
       readable_date(r.from_date) AS from_date, readable_date(r.to_date) AS to_date,
       readable_time(r.created_at) AS created_at, readable_time(r.moved_at) AS moved_at,
       readable_time(r.ended_at) AS ended_at, readable_time(r.parked_at) AS parked_at,
       r.outcome->>'code' AS code, r.outcome->>'object' AS object, now() AS now,
       EXISTS (SELECT FROM outbox o WHERE o.request_id = r.request_id) AS waits,
       (SELECT count(*) FROM request_days d WHERE d.request_id = r.request_id AND d.attempt = r.attempt) AS days_done
FROM page r ORDER BY r.created_at {order}, r.request_id {order}
"""
_NEWEST_FIRST: Final = _PAGE.format(behind="<", order="DESC")
_OLDEST_FIRST: Final = _PAGE.format(behind=">", order="ASC")
_COUNT_CAUSES: Final = """
SELECT outcome->>'code' AS code, outcome->>'object' AS object, dataset_id, count(*) AS requests,
       count(DISTINCT partner_resource) AS partners, readable_time(max(ended_at)) AS latest
FROM requests WHERE state = 'failed' AND deleted_at IS NULL
GROUP BY 1, 2, 3 ORDER BY requests DESC, latest DESC LIMIT $1
"""
# Those that are open are all counted; of the others there may be millions. The order is that of the index.
_COUNT: Final = """
SELECT state::text AS standing, count(*) AS requests FROM requests
WHERE state IN ('submitted', 'inprogress') GROUP BY state
UNION ALL
SELECT 'parked', count(*) FROM (SELECT FROM requests WHERE parked_at IS NOT NULL LIMIT $1) p
UNION ALL
SELECT 'failed', count(*) FROM (
    SELECT FROM requests WHERE state = 'failed' AND deleted_at IS NULL ORDER BY created_at LIMIT $1
) f
UNION ALL
SELECT 'complete', count(*) FROM (
    SELECT FROM requests WHERE state = 'complete' AND deleted_at IS NULL ORDER BY created_at LIMIT $1
) c
UNION ALL
SELECT 'cancelled', count(*) FROM (
    SELECT FROM requests WHERE state = 'cancelled' AND deleted_at IS NULL ORDER BY created_at LIMIT $1
) n
"""
COUNTED_TO: Final = 10_000


class Standing(StrEnum):
    """A state by which operators look for requests: one of a request, or a word for several."""

    OPEN = "open"
    SUBMITTED = State.SUBMITTED
    INPROGRESS = State.INPROGRESS
    FAILED = State.FAILED
    COMPLETE = State.COMPLETE
    CANCELLED = State.CANCELLED
    PARKED = "parked"


_STATES: Final[dict[Standing, list[str]]] = {
    standing: [standing.value] for standing in Standing if standing not in {Standing.OPEN, Standing.PARKED}
} | {Standing.OPEN: ["submitted", "inprogress"]}


@dataclass(frozen=True, slots=True)
class RequestFilter:
    """The conditions of a search for requests; None sets no condition.

    Attributes:
        partner: a plain id or a resource id.
        datasets: own ids.
        code: of the failure.
        object: the source object that the failure names.
        older_than: age since the submit.
        oldest_first: in place of the newest.
        after: where the page before ended; None for the first page.
    """

    standing: Standing | None = None
    partner: str | None = None
    datasets: tuple[str, ...] | None = None
    code: str | None = None
    object: str | None = None
    older_than: timedelta | None = None
    oldest_first: bool = False
    after: PageCursor | None = None
    limit: int = 100


@dataclass(frozen=True, slots=True)
class ListedRequest:
    """A request in a list.

    Attributes:
        moved_at: its last sign of progress.
        parked_at: since when nobody can handle it; None when somebody can.
        waits: in the outbox.
        days_done: finished in its present attempt.
        code: of its failure; None when it has not failed.
        object: the source object that the failure names, if it names one.
        seen_at: when it was looked at, by the clock of the database.
    """

    request_id: UUID
    partner_id: str
    dataset: str
    resource: str
    days: DayRange
    state: State
    attempt: int
    created_at: datetime
    moved_at: datetime
    ended_at: datetime | None
    parked_at: datetime | None
    parked_reason: str | None
    waits: bool
    days_done: int
    code: str | None
    object: str | None
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class FailureCause:
    """Failed requests of one cause.

    Attributes:
        latest: when the latest of them failed.
    """

    code: str | None
    object: str | None
    dataset: str
    requests: int
    partners: int
    latest: datetime | None


async def list_requests(database: Database, wanted: RequestFilter) -> list[ListedRequest]:
    """Return the requests that meet all conditions, newest first, or oldest first."""
    standing, named, after = wanted.standing, wanted.partner, wanted.after
    partners = None if named is None else [resource_id(named), canonical_resource_id(named)]
    async with database.transaction() as connection:
        await connection.execute(PLAN_FOR_VALUES)  # the best index depends on the conditions that are set
        rows = await connection.fetch(
            _OLDEST_FIRST if wanted.oldest_first else _NEWEST_FIRST,
            _STATES.get(standing) if standing else None,
            standing is Standing.PARKED,
            partners,
            wanted.datasets,
            wanted.code,
            wanted.object,
            wanted.older_than,
            after.created_at if after else None,
            after.request_id if after else None,
            wanted.limit,
        )
    return [_listed(row) for row in rows]


async def count_requests(database: Database) -> dict[Standing, int]:
    """Return how many requests there are by state. Of those that ended, and of parked ones, COUNTED_TO is the most."""
    found = {Standing(row["standing"]): row["requests"] for row in await database.fetch(_COUNT, COUNTED_TO)}
    counts = {standing: found.get(standing, 0) for standing in Standing}
    return counts | {Standing.OPEN: counts[Standing.SUBMITTED] + counts[Standing.INPROGRESS]}


async def count_failure_causes(database: Database, *, limit: int) -> list[FailureCause]:
    """Return the causes for which requests have failed and not been retried, the most frequent first."""
    return [FailureCause(*row.values()) for row in await database.fetch(_COUNT_CAUSES, limit)]


def _listed(row: Row) -> ListedRequest:
    return ListedRequest(
        request_id=row["request_id"],
        partner_id=row["partner_id"],
        dataset=row["dataset_id"],
        resource=row["resource"],
        days=DayRange(row["from_date"], row["to_date"]),
        state=State(row["state"]),
        attempt=row["attempt"],
        created_at=row["created_at"],
        moved_at=row["moved_at"],
        ended_at=row["ended_at"],
        parked_at=row["parked_at"],
        parked_reason=row["parked_reason"],
        waits=row["waits"],
        days_done=row["days_done"],
        code=row["code"],
        object=row["object"],
        seen_at=row["now"],
    )
