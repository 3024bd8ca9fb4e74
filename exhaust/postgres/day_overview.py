"""What was asked for, built and not readable, by dataset and day, as the tables of requests know it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import date

    from exhaust.domain.days import DayRange
    from exhaust.postgres.database import Database

# Days that are finished in any attempt; days of open requests that are not in the present one; days that failed.
# Requests of the same dates are counted together before they are spread over their days. Resources are counted by
# hashes, since to sort them by their collation takes long.
_LOOK: Final = """
WITH wanted AS MATERIALIZED (
    SELECT request_id, dataset_id, resource, attempt, greatest(from_date, $1) AS first, least(to_date, $2) AS last,
           state IN ('submitted', 'inprogress') AS is_open,
           CASE WHEN state = 'failed' AND deleted_at IS NULL THEN outcome END AS failure
    FROM requests
    WHERE from_date <= $2 AND to_date >= $1 AND ($3::text IS NULL OR dataset_id = $3)
), done AS (
    SELECT w.dataset_id, d.day, w.resource, w.request_id, bool_or(w.is_open AND d.attempt = w.attempt) AS of_open
    FROM wanted w JOIN request_days d USING (request_id) WHERE d.day BETWEEN $1 AND $2 GROUP BY 1, 2, 3, 4
), finished AS (
    SELECT dataset_id, day, count(*) AS resources, sum(requests) AS requests, sum(of_open) AS of_open
    FROM (
        SELECT dataset_id, day, resource, count(*) AS requests, count(*) FILTER (WHERE of_open) AS of_open
        FROM done GROUP BY 1, 2, 3
    ) r GROUP BY 1, 2
), open AS (
    SELECT dataset_id, s.day::date AS day, sum(requests) AS requests
    FROM (SELECT dataset_id, first, last, count(*) AS requests FROM wanted WHERE is_open GROUP BY 1, 2, 3) w,
         generate_series(w.first, w.last, interval '1 day') AS s (day)
    GROUP BY 1, 2
), failed AS (
    SELECT dataset_id, failure->>'day' AS day, count(*) AS requests,
           array_remove(array_agg(DISTINCT failure->>'object'), NULL) AS objects
    FROM wanted WHERE failure->>'day' BETWEEN $1::date::text AND $2::date::text GROUP BY 1, 2
)
SELECT dataset_id, day, coalesce(f.resources, 0)::bigint AS resources, coalesce(f.requests, 0)::bigint AS finished,
       greatest(coalesce(o.requests, 0) - coalesce(f.of_open, 0), 0)::bigint AS open,
       coalesce(b.requests, 0) AS failed, coalesce(b.objects, '{}') AS objects
FROM finished f FULL JOIN open o USING (dataset_id, day)
FULL JOIN (SELECT dataset_id, day::date AS day, requests, objects FROM failed) b USING (dataset_id, day)
"""


@dataclass(frozen=True, slots=True)
class BuiltDay:
    """What became of a day of a dataset.

    Attributes:
        resources: whose archives of the day were built.
        finished: requests that have the day finished.
        open: requests that wait for the day.
        failed: requests that failed by the day.
        objects: source objects that they name.
    """

    resources: int
    finished: int
    open: int
    failed: int
    objects: tuple[str, ...]


async def find_built_days(
    database: Database, days: DayRange, *, dataset: str | None = None
) -> dict[tuple[str, date], BuiltDay]:
    """Return what became of days, by dataset and day; days that nobody asked for are not there.

    Raises:
        ExhaustError: SERVICE_UNAVAILABLE.
    """
    rows = await database.fetch(_LOOK, days.first, days.last, dataset)
    return {
        (row["dataset_id"], row["day"]): BuiltDay(
            row["resources"], row["finished"], row["open"], row["failed"], tuple(row["objects"])
        )
        for row in rows
    }
