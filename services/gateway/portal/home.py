"""The start page: what the holder of the key may read, with a strip of days for each grant, and the requests."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Final

from exhaust.errors import ErrorCode, ExhaustError
from exhaust.http.query import check_query
from schemas.operations import Operation
from services.gateway.portal.frame import FRAGMENT_HEADER
from services.gateway.portal.listed import Listed, listed_requests
from services.gateway.portal.strips import STATES, Strip, range_of, strip_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aiohttp import web

    from services.gateway.portal.frame import Frame
    from services.gateway.portal.operations import ApiOperations

ME: Final = "/v2/me"
DAYS: Final = "/v2/days"
MOST_GRANTS: Final = 20  # on one page
_QUERY: Final = Operation("/", "", query=frozenset({"dataset", "grants", "next"}))


@dataclass(frozen=True, slots=True)
class GrantShown:
    """A grant with its strip.

    Attributes:
        id: of its place on the page.
        name: the plain id where it is known, else the id of the resource.
        partner: for whom requests are; empty where the visitor has to name one.
        seen: False when the states of its days could not be seen.
    """

    id: str
    kind: str
    name: str
    resource: str
    dataset: str
    partner: str
    ends: str | None
    strip: Strip
    seen: bool


class Home:
    """The start page."""

    def __init__(self, operations: ApiOperations, frame: Frame) -> None:
        self._operations = operations
        self._frame = frame

    async def show(self, request: web.Request) -> web.Response:
        """Answer GET /portal; for htmx the requests alone."""
        check_query(request.query, _QUERY)
        listing = await self._requests(request)
        if FRAGMENT_HEADER in request.headers:
            return self._frame.page(request, "home.html", listing=listing)
        me = await self._operations.get(request, ME)
        datasets = [str(dataset["id"]) for dataset in me["datasets"]]
        chosen = request.query.get("dataset") or (datasets[0] if datasets else "")
        if chosen not in datasets:
            raise ExhaustError(ErrorCode.NOT_FOUND, "there is no such dataset, or nothing in it for this license key")
        place = _place(request.query.get("grants", "0"))
        wanted = [grant for grant in me["grants"] if grant.get("dataset") in {None, chosen}]
        newest = date.fromisoformat(me["newestday"])
        grants = await self._shown(request, wanted[place : place + MOST_GRANTS], chosen, newest)
        return self._frame.page(
            request,
            "home.html",
            listing=listing,
            grants=grants,
            more=place + MOST_GRANTS if len(wanted) > place + MOST_GRANTS else None,
            datasets=datasets,
            chosen=chosen,
            newest=newest.isoformat(),
            week=max(newest - timedelta(days=6), range_of(newest)[0]).isoformat(),
            states=STATES,
        )

    async def _shown(
        self, request: web.Request, grants: Sequence[Mapping[str, Any]], dataset: str, newest: date
    ) -> list[GrantShown]:
        return await asyncio.gather(
            *(self._grant(request, grant, place, dataset, newest) for place, grant in enumerate(grants))
        )

    async def _grant(
        self, request: web.Request, grant: Mapping[str, Any], place: int, dataset: str, newest: date
    ) -> GrantShown:
        first, last = range_of(newest)
        resource = str(grant["resourceid"])
        days: Sequence[Mapping[str, Any]] = ()
        seen = True
        try:
            days = (
                await self._operations.get(request, DAYS, dataset=dataset, resource=resource, from_=first, to=last)
            )["days"]
        except ExhaustError as error:
            if error.code in {ErrorCode.RATE_LIMITED, ErrorCode.LOGIN_FAILED}:
                raise
            seen = False  # the rest of the page does without
        plain = grant.get("id")
        return GrantShown(
            id=f"grant-{place}",
            kind=str(grant["kind"]),
            name=str(plain or resource),
            resource=resource,
            dataset=dataset,
            partner=str(plain or ""),
            ends=grant.get("expiresat"),
            strip=strip_of(first, last, days),
            seen=seen,
        )

    async def _requests(self, request: web.Request) -> Listed:
        return await listed_requests(self._operations, request, after=request.query.get("next", ""))


def _place(text: str) -> int:
    if not text.isdecimal() or len(text) > len("1000"):
        raise ExhaustError(ErrorCode.INVALID_DATA_ERROR, "grants must be a number")
    return int(text)
