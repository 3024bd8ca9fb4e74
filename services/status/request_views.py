"""What partners may know of their requests: one request, or a partner's, newest first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from exhaust.domain.days import DayRange
from exhaust.domain.requests import State
from exhaust.postgres.audit import record_links
from exhaust.postgres.grants import USER_MAY_READ

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from exhaust.postgres.database import Database

_COLUMNS: Final = """
SELECT r.*, d.days_done, d.day_events, d.day_bytes
FROM requests r, LATERAL (
    SELECT count(*) AS days_done,
           coalesce(sum(events), 0)::bigint AS day_events, coalesce(sum(bytes), 0)::bigint AS day_bytes
    FROM request_days d WHERE d.request_id = r.request_id AND d.attempt = r.attempt
) d
"""
BY_ID: Final = f"{_COLUMNS} WHERE r.request_id = ANY($1::uuid[])"
# Only what the caller may read; the pair (created_at, request_id) makes the order total, so that no page repeats a row.
_PAGE: Final = f"""{_COLUMNS}
WHERE r.partner_id = $1
  AND (r.created_at, r.request_id) < ($3, $4)
  AND {USER_MAY_READ.format(user="$2", resource="r.resource", dataset="r.dataset_id")}
ORDER BY r.created_at DESC, r.request_id DESC
LIMIT $5
"""


@dataclass(frozen=True, slots=True)
class RequestView:
    """A request as it stands.

    Attributes:
        ended_at: when it became complete or failed; None before.
        outcome: the archive (key, size, and what else is known) when complete, the error (code, message, …) when
            failed, else None.
    """

    request_id: UUID
    user_id: int
    partner_id: str
    username: str
    dataset: str
    resource: str
    days: DayRange
    tags: tuple[str, ...]
    created_at: datetime
    ended_at: datetime | None
    state: State
    attempt: int
    days_done: int
    events: int
    bytes: int
    outcome: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Place:
    """The last request of a page; the next page goes on behind it."""

    created_at: datetime
    request_id: UUID


BEFORE_ALL: Final = Place(datetime.max.replace(tzinfo=UTC), UUID(int=2**128 - 1))


class RequestViews:
    """Reads requests from PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def by_id(self, request_ids: Collection[UUID]) -> dict[UUID, RequestView]:
        """The requests that there are."""
        rows = await self._database.fetch(BY_ID, request_ids)
        return {row["request_id"]: _view(row) for row in rows}

    async def note_links(self, links: Sequence[tuple[int, UUID]]) -> None:
        """Keep in the audit that users (by id) were given the links of requests' downloads."""
        async with self._database.transaction() as connection:
            await record_links(connection, links)

    async def of_partner(
        self, partner_id: str, *, user_id: int, after: Place, limit: int
    ) -> tuple[list[RequestView], Place | None]:
        """A page of a partner's requests that a caller may read, newest first.

        Args:
            partner_id: as submitted.
            user_id: the caller.
            after: where the page before ended; BEFORE_ALL for the first.
            limit: requests at most.

        Returns:
            The page, and where it ended when there are more.
        """
        rows = await self._database.fetch(_PAGE, partner_id, user_id, after.created_at, after.request_id, limit + 1)
        views = [_view(row) for row in rows[:limit]]
        more = len(rows) > limit
        return views, Place(views[-1].created_at, views[-1].request_id) if more else None


def _view(row: Mapping[str, Any]) -> RequestView:
    state = State(row["state"])
    outcome = row["outcome"] or {}
    days = DayRange(row["from_date"], row["to_date"])
    complete = state is State.COMPLETE
    return RequestView(
        request_id=row["request_id"],
        user_id=row["user_id"],
        partner_id=row["partner_id"],
        username=row["username"],
        dataset=row["dataset_id"],
        resource=row["resource"],
        days=days,
        tags=tuple(row["tags"]),
        created_at=row["created_at"],
        ended_at=row["ended_at"],
        state=state,
        attempt=row["attempt"],
        # A job elsewhere may complete a request without reporting its days.
        days_done=len(days) if complete else row["days_done"],
        events=outcome.get("events", row["day_events"]) if complete else row["day_events"],
        bytes=outcome.get("bytes", row["day_bytes"]) if complete else row["day_bytes"],
        outcome=row["outcome"],
    )
