"""What was asked for, built and not readable, by dataset and day, as the tables of requests know it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import date

    from exhaust.domain.days import DayRange
    from exhaust.postgres.database import Database

# Days that are finished in any attempt; days of open requests that are not in the present one; days that failed.
_LOOK: Final = """
WITH wanted AS MATERIALIZED (
    SELECT request_id, dataset_id, resource, state, attempt, outcome,
           greatest(readable_date(from_date), $1) AS first, least(readable_date(to_date), $2) AS last
    FROM requests
    WHERE from_date <= $2 AND to_date >= $1 AND ($3::text IS NULL OR dataset_id = $3)
), finished AS (
    SELECT w.dataset_id, d.day, count(DISTINCT w.resource) AS resources, count(DISTINCT w.request_id) AS requests
    FROM wanted w JOIN request_days d USING (request_id) WHERE d.day BETWEEN $1 AND $2 GROUP BY 1, 2
), open AS (
    SELECT w.dataset_id, s.day::date AS day, count(*) AS requests
    FROM wanted w, generate_series(w.first, w.last, interval '1 day') AS s (day)
    WHERE w.state IN ('submitted', 'inprogress') AND NOT EXISTS (
        SELECT FROM request_days d WHERE (d.request_id, d.attempt, d.day) = (w.request_id, w.attempt, s.day::date)
    )
    GROUP BY 1, 2
), failed AS (
    SELECT w.dataset_id, w.outcome->>'day' AS day, count(*) AS requests,
           array_remove(array_agg(DISTINCT w.outcome->>'object'), NULL) AS objects
    FROM wanted w
    WHERE w.state = 'failed' AND w.outcome->>'day' BETWEEN $1::date::text AND $2::date::text GROUP BY 1, 2
)
SELECT dataset_id, day, coalesce(f.resources, 0) AS resources, coalesce(f.requests, 0) AS finished,
       coalesce(o.requests, 0) AS open, coalesce(b.requests, 0) AS failed, coalesce(b.objects, '{}') AS objects
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
