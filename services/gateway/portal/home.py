"""The start page: what the holder of the key may read, with a strip of days for each grant, and the requests."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Final

import structlog

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
LOOKS_AT_ONCE: Final = 2  # a holder has a share of so many at least, unless the operators say otherwise
STRIPS_WITHIN: Final = timedelta(seconds=2)
_QUERY: Final = Operation("/", "", query=frozenset({"dataset", "grants", "next"}))

log = structlog.get_logger(__name__)


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
            states={name: state for name, state in STATES.items() if any(name in one.strip.counts for one in grants)},
        )

    async def _shown(
        self, request: web.Request, grants: Sequence[Mapping[str, Any]], dataset: str, newest: date
    ) -> list[GrantShown]:
        """Return grants with their strips, as far as these are there in time: the rest of the page does without."""
        gate = asyncio.Semaphore(LOOKS_AT_ONCE)
        looks = [
            asyncio.create_task(self._days(request, str(grant["resourceid"]), dataset, newest, gate))
            for grant in grants
        ]
        if looks:
            _, late = await asyncio.wait(looks, timeout=STRIPS_WITHIN.total_seconds())
            for look in late:
                look.cancel()
            await asyncio.wait(looks)
        told = [None if look.cancelled() else look.result() for look in looks]
        return [
            _grant_shown(grant, place, dataset, newest, days)
            for place, (grant, days) in enumerate(zip(grants, told, strict=True))
        ]

    async def _days(
        self, request: web.Request, resource: str, dataset: str, newest: date, gate: asyncio.Semaphore
    ) -> Sequence[Mapping[str, Any]] | None:
        first, last = range_of(newest)
        try:
            async with gate:
                found = await self._operations.get(
                    request, DAYS, dataset=dataset, resource=resource, from_=first, to=last
                )
        except ExhaustError as error:
            log.info("portal.days_not_seen", code=error.code)
            return None
        days: Sequence[Mapping[str, Any]] = found["days"]
        return days

    async def _requests(self, request: web.Request) -> Listed:
        return await listed_requests(self._operations, request, after=request.query.get("next", ""))


def _grant_shown(
    grant: Mapping[str, Any], place: int, dataset: str, newest: date, days: Sequence[Mapping[str, Any]] | None
) -> GrantShown:
    plain, resource = grant.get("id"), str(grant["resourceid"])
    return GrantShown(
        id=f"grant-{place}",
        kind=str(grant["kind"]),
        name=str(plain or resource),
        resource=resource,
        dataset=dataset,
        partner=str(plain or ""),
        ends=grant.get("expiresat"),
        strip=strip_of(*range_of(newest), days or ()),
        seen=days is not None,
    )


def _place(text: str) -> int:
    if not text.isdecimal() or len(text) > len("1000"):
        raise ExhaustError(ErrorCode.INVALID_DATA_ERROR, "grants must be a number")
    return int(text)
