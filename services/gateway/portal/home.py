"""The start page: what the holder of the key may read, with a strip of days for each grant, and the requests."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

from exhaust.errors import ErrorCode, ExhaustError
from exhaust.http.query import check_query
from schemas.operations import Operation
from services.gateway.handlers.me import ME_PATH
from services.gateway.portal.frame import FRAGMENT_HEADER
from services.gateway.portal.grants import grants_of, plain_ids, shown_grants
from services.gateway.portal.known_days import find_known_days
from services.gateway.portal.listed import Listed, listed_requests
from services.gateway.portal.strips import STATES, range_of

if TYPE_CHECKING:
    from aiohttp import web

    from services.gateway.portal.frame import Frame
    from services.gateway.portal.operations import ApiOperations

MOST_GRANTS: Final = 20  # on one page
A_WEEK: Final = timedelta(days=6)  # from its first day to its last
_QUERY: Final = Operation("/", "", query=frozenset({"dataset", "grants", "next"}))


class Home:
    """The start page."""

    def __init__(self, operations: ApiOperations, frame: Frame) -> None:
        self._operations = operations
        self._frame = frame

    async def show(self, request: web.Request) -> web.Response:
        """Answer GET /portal; for htmx the requests alone."""
        check_query(request.query, _QUERY)
        if FRAGMENT_HEADER in request.headers:
            return self._frame.page(request, "home.html", listing=await self._requests(request))
        listing, me = await asyncio.gather(self._requests(request), self._operations.get(request, ME_PATH))
        datasets = [str(dataset["id"]) for dataset in me["datasets"]]
        dataset = _dataset(request.query.get("dataset", ""), datasets)
        start, newest = _number(request.query.get("grants", "0")), date.fromisoformat(me["newestday"])
        held = grants_of(me["grants"], dataset)
        shown = held[start : start + MOST_GRANTS]
        resources = [str(grant["resourceid"]) for grant in shown]
        days = await find_known_days(self._operations, request, dataset, resources, *range_of(newest))
        names = plain_ids(me["grants"], (asked.partner for asked in listing.requests))
        grants = shown_grants(shown, dataset, newest, names, days)
        return self._frame.page(
            request,
            "home.html",
            listing=listing,
            grants=grants,
            more=start + MOST_GRANTS if len(held) > start + MOST_GRANTS else None,
            datasets=datasets,
            chosen=dataset,
            newest=newest.isoformat(),
            week=(newest - A_WEEK).isoformat(),
            partners=sorted(set(names.values())),
            states={name: state for name, state in STATES.items() if any(name in one.strip.counts for one in grants)},
        )

    async def _requests(self, request: web.Request) -> Listed:
        return await listed_requests(self._operations, request, after=request.query.get("next", ""))


def _dataset(chosen: str, datasets: list[str]) -> str:
    """Return the dataset that is looked at: the first, unless the visitor has chosen another."""
    dataset = chosen or next(iter(datasets), "")
    if dataset not in datasets:
        raise ExhaustError(ErrorCode.NOT_FOUND, "there is no such dataset")
    return dataset


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or len(text) > len("1000"):
        raise ExhaustError(ErrorCode.INVALID_DATA_ERROR, "grants must be a number")
    return int(text)
