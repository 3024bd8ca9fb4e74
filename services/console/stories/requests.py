"""The page of requests: those that meet some conditions, and how many there are in each state."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Final
from uuid import UUID

from pydantic import BeforeValidator

from exhaust.operations.listings import request_row, written
from exhaust.postgres.request_lists import (
    COUNTED_TO,
    ListedRequest,
    RequestFilter,
    Standing,
    count_requests,
    list_requests,
)
from exhaust.postgres.request_views import PageCursor
from services.console.reading import Reading
from services.console.stories.query import Ago, Query, Text, read_query, wrong

if TYPE_CHECKING:
    from multidict import MultiMapping

    from exhaust.domain.catalogue import Catalogue
    from exhaust.postgres.database import Database

PAGE: Final = 100


class Order(StrEnum):
    """The order of a list."""

    NEWEST = "newest"
    OLDEST = "oldest"


def _cursor(text: str) -> PageCursor:
    at, _, request_id = text.partition("_")
    try:
        created_at = datetime.fromisoformat(at)
        if created_at.tzinfo is not None:
            return PageCursor(created_at.astimezone(UTC), UUID(request_id))
    except (ValueError, OverflowError):
        pass
    raise wrong("it must be the value that the last page gave")


def _checked(text: object) -> str:
    _cursor(str(text))
    return str(text)


class RequestsQuery(Query):
    """The parameters: those of `exhaustctl requests`, the order, and where the page before ended."""

    state: Standing | None = None
    partner: Text | None = None
    dataset: Text | None = None
    code: Text | None = None
    object: Text | None = None
    olderthan: Ago | None = None
    order: Order = Order.NEWEST
    next: Annotated[str | None, BeforeValidator(_checked)] = None


async def requests_document(database: Database, catalogue: Catalogue, query: MultiMapping[str]) -> dict[str, Any]:
    """Return the page as JSON.

    Raises:
        ExhaustError: INVALID_DATA_ERROR.
    """
    asked = read_query(query, RequestsQuery)
    wanted = RequestFilter(
        asked.state,
        asked.partner,
        (own_id(catalogue, asked.dataset),) if asked.dataset else None,
        asked.code,
        asked.object,
        asked.olderthan,
        asked.order is Order.OLDEST,
        _cursor(asked.next) if asked.next else None,
        PAGE + 1,
    )
    reading = Reading()
    counts = await reading.see(count_requests(database), "how many requests there are")
    found = await reading.see(list_requests(database, wanted), "requests")
    return {
        "at": written(datetime.now(UTC)),
        "unseen": reading.unseen,
        "asked": {name: query.get(name, "") for name in sorted(RequestsQuery.names() - {"next"})},
        "datasets": sorted({dataset.id for dataset in catalogue.by_name.values()}),
        "counts": None if counts is None else {str(standing): number for standing, number in counts.items()},
        "countedto": COUNTED_TO,
        "requests": None if found is None else [request_row(listed) for listed in found[:PAGE]],
        "next": _next(found or []),
    }


def own_id(catalogue: Catalogue, name: str) -> str:
    """Return a dataset's own id for its id or alias. One that the catalogue has no more keeps its name."""
    found = catalogue.find(name)
    return found.id if found else name


def _next(found: list[ListedRequest]) -> str | None:
    if len(found) <= PAGE:
        return None
    last = found[PAGE - 1]
    return f"{last.created_at.astimezone(UTC).isoformat().replace('+00:00', 'Z')}_{last.request_id}"
