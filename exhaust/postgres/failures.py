"""What went wrong lately, in figures: failed requests by cause, and dead letters."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime

    from exhaust.postgres.database import Connection

FAILED_WITHIN: Final = timedelta(days=7)
MOST_CAUSES: Final = 20
_CAUSES: Final = """
SELECT outcome->>'code' AS code, outcome->>'object' AS object, dataset_id AS dataset, count(*) AS requests,
       count(DISTINCT coalesce(nullif(partner_resource, ''), partner_id)) AS partners,
       readable_time(min(ended_at)) AS since, readable_time(max(ended_at)) AS latest
FROM requests WHERE state = 'failed' AND ended_at >= now() - $1::interval
GROUP BY 1, 2, 3 ORDER BY requests DESC, latest DESC LIMIT $2
"""
_LETTERS: Final = """
SELECT count(*) FILTER (WHERE state = 'waiting') AS waiting,
       count(*) FILTER (WHERE written_at >= date_trunc('day', now(), 'UTC')) AS today,
       min(written_at) FILTER (WHERE state = 'waiting') AS oldest
FROM dead_letters
"""


@dataclass(frozen=True, slots=True)
class RecentCause:
    """Requests that failed by one cause within FAILED_WITHIN, and were not tried again.

    Attributes:
        since: when the first of them failed.
        latest: when the last of them failed.
    """

    code: str | None
    object: str | None
    dataset: str
    requests: int
    partners: int
    since: datetime | None
    latest: datetime | None


@dataclass(frozen=True, slots=True)
class LetterCounts:
    """The dead letters of the index.

    Attributes:
        waiting: those that nobody has redriven.
        today: those that came since midnight, UTC.
        oldest: since when the oldest waits.
    """

    waiting: int
    today: int
    oldest: datetime | None


async def count_recent_causes(connection: Connection) -> list[RecentCause]:
    """Return the causes of failed requests, that of the most requests first."""
    return [RecentCause(*row.values()) for row in await connection.fetch(_CAUSES, FAILED_WITHIN, MOST_CAUSES)]


async def count_letters(connection: Connection) -> LetterCounts:
    """Return how many dead letters there are."""
    row = await connection.fetch_one(_LETTERS)
    return LetterCounts(row["waiting"], row["today"], row["oldest"]) if row else LetterCounts(0, 0, None)
