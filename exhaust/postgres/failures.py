"""What went wrong lately, in figures: failed requests by cause."""

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
FROM requests WHERE state = 'failed' AND deleted_at IS NULL AND ended_at >= now() - $1::interval
GROUP BY 1, 2, 3 ORDER BY requests DESC, latest DESC LIMIT $2
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


async def count_recent_causes(connection: Connection) -> list[RecentCause]:
    """Return the causes of failed requests, that of the most requests first."""
    return [RecentCause(*row.values()) for row in await connection.fetch(_CAUSES, FAILED_WITHIN, MOST_CAUSES)]
