"""What is known of days, as the pages ask for it: of several resources in a call, and in time or not at all."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import structlog

from exhaust.errors import ExhaustError
from schemas.operations import DAYS_PATH

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from aiohttp import web

    from services.gateway.portal.operations import ApiOperations

RESOURCES_A_CALL: Final = 5
CALLS_AT_ONCE: Final = 2  # a holder has a share of so many at least, unless the operators say otherwise
WITHIN: Final = timedelta(seconds=4)  # a status service that has just started reads many small objects first

log = structlog.get_logger(__name__)


async def find_known_days(
    operations: ApiOperations, page: web.Request, dataset: str, resources: Sequence[str], first: date, last: date
) -> list[Sequence[Mapping[str, Any]] | None]:
    """Return the days of each resource, in their order; None where they cannot be seen, and a page does without.

    Args:
        operations: of the API.
        page: the call of the page.
        dataset: its id.
        resources: their ids.
        first: day.
        last: day.
    """
    gate = asyncio.Semaphore(CALLS_AT_ONCE)

    async def ask(some: list[str]) -> Sequence[Sequence[Mapping[str, Any]] | None]:
        try:
            async with gate:
                found = await operations.get(page, DAYS_PATH, dataset=dataset, resource=some, from_=first, to=last)
        except ExhaustError as error:
            log.info("portal.days_not_seen", code=error.code)
            return [None] * len(some)
        return [one["days"] for one in found["resources"]] if len(some) > 1 else [found["days"]]

    parts = [list(resources[start : start + RESOURCES_A_CALL]) for start in range(0, len(resources), RESOURCES_A_CALL)]
    calls = [asyncio.create_task(ask(part)) for part in parts]
    if calls:
        _, late = await asyncio.wait(calls, timeout=WITHIN.total_seconds())
        for call in late:
            call.cancel()
        await asyncio.wait(calls)
    told: list[Sequence[Mapping[str, Any]] | None] = []
    for part, call in zip(parts, calls, strict=True):
        told += [None] * len(part) if call.cancelled() else call.result()
    return told
