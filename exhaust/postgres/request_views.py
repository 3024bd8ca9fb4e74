"""Requests as callers may know them: some by id, or a partner's, newest first."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from exhaust.domain.days import DayRange
from exhaust.domain.state_machine import State
from exhaust.postgres.grants import USER_MAY_READ
from telemetry.resource_ids import resource_id

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from exhaust.postgres.database import Database, Row

_COLUMNS: Final = """
SELECT r.request_id, r.user_id, r.partner_id, r.username, r.dataset_id, r.resource, r.tags, r.state, r.attempt,
       r.outcome, readable_date(r.from_date) AS from_date, readable_date(r.to_date) AS to_date,
       readable_time(r.created_at) AS created_at, readable_time(r.ended_at) AS ended_at,
       d.days_done, d.day_events, d.day_bytes, r.told_position,
       readable_time(r.moved_at) AS moved_at, readable_time(r.released_at) AS released_at,
       r.parked_at IS NOT NULL AS parked, coalesce(nullif(r.partner_resource, ''), r.partner_id) AS partner,
       o.created_at AS waiting_since, coalesce(o.claimed_until > now(), false) AS claimed, now() AS seen_at
FROM requests r LEFT JOIN outbox o ON (o.request_id, o.attempt) = (r.request_id, r.attempt), LATERAL (
    SELECT count(*) AS days_done,
           coalesce(sum(events), 0)::bigint AS day_events, coalesce(sum(bytes), 0)::bigint AS day_bytes
    FROM request_days d WHERE d.request_id = r.request_id AND d.attempt = r.attempt
) d
"""
BY_ID: Final = f"{_COLUMNS} WHERE r.request_id = ANY($1::uuid[]) AND r.deleted_at IS NULL"
# Only what the caller may read; the pair (created_at, request_id) makes the order total, so that no page repeats a row.
_PAGE: Final = f"""{_COLUMNS}
WHERE r.partner_resource = $1 AND r.deleted_at IS NULL
  AND (r.created_at, r.request_id) < ($3, $4)
  AND {USER_MAY_READ.format(user="$2", resource="r.resource", dataset="r.dataset_id")}
ORDER BY r.created_at DESC, r.request_id DESC
LIMIT $5
"""
# By the index of each partner that the user acts for, since of all partners' requests few may be the user's.
_EVERY_PAGE: Final = """{columns}
WHERE r.request_id IN (
    WITH partners AS MATERIALIZED (
        SELECT DISTINCT g.resource FROM data_exhaust_users_resources g
        WHERE g.user_id = $1 AND (g.expires_at IS NULL OR g.expires_at > now())
    )
    SELECT r.request_id FROM partners p, LATERAL (
        SELECT r.request_id, r.created_at FROM requests r
        WHERE r.partner_resource = p.resource AND r.deleted_at IS NULL AND (r.created_at, r.request_id) < ($2, $3)
          AND {may_read}
        ORDER BY r.created_at DESC, r.request_id DESC LIMIT $4
    ) r
    ORDER BY r.created_at DESC, r.request_id DESC LIMIT $4
)
ORDER BY r.created_at DESC, r.request_id DESC
"""
_PAGE_OF_ALL: Final = _EVERY_PAGE.format(
    columns=_COLUMNS, may_read=USER_MAY_READ.format(user="$1", resource="r.resource", dataset="r.dataset_id")
)


@dataclass(frozen=True, slots=True)
class RequestView:
    """A request and its progress.

    Attributes:
        ended_at: when it became complete or failed; None before.
        days_done: days that its present attempt has reported as finished.
        events: of these days.
        bytes: of these days.
        outcome: the archive (key, size, and what else is known) when complete, the error (code, message, …) when
            failed, else None.
        partner: the resource id of its partner; of version 0.1.0, the plain id.
        waiting_since: since when it waits in the outbox; None when it does not.
        claimed: a gateway has it in hand to publish it.
        parked: nobody can handle it before an operator has mended it.
        moved_at: its last sign of progress.
        released_at: from the outbox, in its present attempt or one before; None when that is not known.
        told_position: the least position in its partner's line that callers were told; None when they were told none.
        seen_at: when all this was looked at, by the clock of the database.
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
    partner: str
    waiting_since: datetime | None
    claimed: bool
    parked: bool
    # Two looks at a request that has not changed are equal.
    moved_at: datetime = field(compare=False)
    released_at: datetime | None
    told_position: int | None
    seen_at: datetime = field(compare=False)


@dataclass(frozen=True, slots=True)
class PageCursor:
    """The last request of a page; the next page goes on behind it."""

    created_at: datetime
    request_id: UUID


FIRST_PAGE: Final = PageCursor(datetime.max.replace(tzinfo=UTC), UUID(int=2**128 - 1))


async def find_requests(database: Database, request_ids: Collection[UUID]) -> dict[UUID, RequestView]:
    """Return the requests with these ids, as far as there are any."""
    rows = await database.fetch(BY_ID, request_ids)
    return {row["request_id"]: _view(row) for row in rows}


async def find_page(
    database: Database, partner_id: str, *, user_id: int, after: PageCursor, limit: int
) -> tuple[list[RequestView], PageCursor | None]:
    """Return a page of a partner's requests that a user may read, newest first, and where it ended if there are more.

    Args:
        database: with the runtime role.
        partner_id: the plain id of the partner.
        user_id: the reader.
        after: where the page before ended; FIRST_PAGE for the first.
        limit: requests at most.
    """
    rows = await database.fetch(_PAGE, resource_id(partner_id), user_id, after.created_at, after.request_id, limit + 1)
    return _page(rows, limit)


async def find_page_of_all(
    database: Database, *, user_id: int, after: PageCursor, limit: int
) -> tuple[list[RequestView], PageCursor | None]:
    """Return a page as `find_page` does, of the requests of every partner for whom the user may act."""
    rows = await database.fetch(_PAGE_OF_ALL, user_id, after.created_at, after.request_id, limit + 1)
    return _page(rows, limit)


def _page(rows: Sequence[Row], limit: int) -> tuple[list[RequestView], PageCursor | None]:
    views = [_view(row) for row in rows[:limit]]
    more = len(rows) > limit
    return views, PageCursor(views[-1].created_at, views[-1].request_id) if more else None


def _view(row: Row) -> RequestView:
    return RequestView(
        request_id=row["request_id"],
        user_id=row["user_id"],
        partner_id=row["partner_id"],
        username=row["username"],
        dataset=row["dataset_id"],
        resource=row["resource"],
        days=DayRange(row["from_date"], row["to_date"]),
        tags=tuple(row["tags"]),
        created_at=row["created_at"],
        ended_at=row["ended_at"],
        state=State(row["state"]),
        attempt=row["attempt"],
        days_done=row["days_done"],
        events=row["day_events"],
        bytes=row["day_bytes"],
        outcome=row["outcome"] if isinstance(row["outcome"], dict) else None,
        partner=row["partner"],
        waiting_since=row["waiting_since"],
        claimed=row["claimed"],
        parked=row["parked"],
        moved_at=row["moved_at"],
        released_at=row["released_at"],
        told_position=row["told_position"],
        seen_at=row["seen_at"],
    )
