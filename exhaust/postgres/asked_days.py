"""What the tables of requests know of the days of resources."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from exhaust.errors import ErrorCode

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime, timedelta

    from exhaust.domain.days import DayRange
    from exhaust.postgres.database import Database

# Of these a day is to blame, and not a server that was away.
_UNREADABLE: Final = (ErrorCode.SOURCE_OBJECT_UNREADABLE.value, ErrorCode.LIMIT_EXCEEDED.value)
# Failures are looked for among the requests of the resources' own partners, by their index, and only among recent ones.
_LOOK: Final = """
WITH open AS MATERIALIZED (
    SELECT resource, request_id, attempt, from_date, to_date FROM requests
    WHERE state IN ('submitted', 'inprogress') AND dataset_id = $1 AND resource = ANY ($2) AND tags = '{}'
      AND from_date <= $4 AND to_date >= $3
), building AS (
    SELECT DISTINCT o.resource, s.day::date AS day FROM open o
    CROSS JOIN generate_series(greatest(o.from_date, $3::date)::timestamp, least(o.to_date, $4::date)::timestamp,
        interval '1 day') AS s (day)
    WHERE NOT EXISTS (
        SELECT FROM request_days d WHERE (d.request_id, d.attempt, d.day) = (o.request_id, o.attempt, s.day::date)
    )
), failed AS (
    SELECT resource, (outcome->>'day')::date AS day, readable_time(max(ended_at)) AS failed_at FROM requests
    WHERE partner_resource = ANY ($2) AND created_at > now() - interval '14 days' AND state = 'failed'
      AND dataset_id = $1 AND resource = partner_resource AND outcome->>'code' = ANY ($5)
      AND outcome->>'day' BETWEEN $3::date::text AND $4::date::text
    GROUP BY 1, 2
)
SELECT resource, day, coalesce(b.waited_for, false) AS building, f.failed_at
FROM (SELECT resource, day, true AS waited_for FROM building) b FULL JOIN failed f USING (resource, day)
"""
_MOVING: Final = """
SELECT resource FROM requests WHERE state IN ('submitted', 'inprogress') AND dataset_id = $1 AND resource = ANY ($2)
UNION SELECT resource FROM requests WHERE ended_at > now() - $3::interval AND dataset_id = $1 AND resource = ANY ($2)
"""


@dataclass(frozen=True, slots=True)
class AskedDay:
    """What became of a day of a resource, by its requests.

    Attributes:
        building: a request without tags waits for it.
        failed_at: when a request last failed because the day cannot be read; None when none did lately.
    """

    building: bool
    failed_at: datetime | None


async def find_asked_days(
    database: Database, dataset: str, resources: Sequence[str], days: DayRange
) -> dict[tuple[str, date], AskedDay]:
    """Return what requests know of days of resources; a day that none knows is left out.

    Raises:
        ExhaustError: SERVICE_UNAVAILABLE.
    """
    rows = await database.fetch(_LOOK, dataset, list(resources), days.first, days.last, _UNREADABLE)
    return {(row["resource"], row["day"]): AskedDay(row["building"], row["failed_at"]) for row in rows}


async def find_moving_resources(
    database: Database, dataset: str, resources: Sequence[str], within: timedelta
) -> frozenset[str]:
    """Return the resources whose archives may have changed within a time: a request for them is open or has ended.

    Raises:
        ExhaustError: SERVICE_UNAVAILABLE.
    """
    rows = await database.fetch(_MOVING, dataset, list(resources), within)
    return frozenset(row["resource"] for row in rows)
