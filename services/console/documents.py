"""The pages that show the latest look at all stages: Now, Flow, Workers. `exhaustctl` shows the same documents."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from exhaust.lag.assessment import flow_document, now_document, workers_document
from exhaust.lag.findings import AWAY, FOUND_WITHIN, Findings, find
from services.console.latest import Latest
from services.console.pages import Page

if TYPE_CHECKING:
    from aiohttp import web

    from exhaust.lag.assessment import Document
    from exhaust.postgres.database import Database
    from services.console.sampling import Sampling

FINDINGS_AGE: Final = timedelta(seconds=2)  # several who look at the page cost as much as one


def lag_pages(sampling: Sampling, database: Database) -> list[Page]:
    """Build the pages of lag.

    Args:
        sampling: whose latest look they show.
        database: for what is to be known beside the lag.
    """
    found = Latest(partial(find, database), max_age=FINDINGS_AGE, within=FOUND_WITHIN)

    async def findings() -> Findings:
        try:
            return await found.get()
        except TimeoutError:
            return Findings(unseen=AWAY)

    async def now(_request: web.Request) -> Document:
        beside = await findings()
        return now_document(await sampling.assessment(), datetime.now(UTC), beside)

    async def flow(_request: web.Request) -> Document:
        return flow_document(await sampling.assessment(), datetime.now(UTC))

    async def workers(_request: web.Request) -> Document:
        return workers_document(await sampling.assessment(), datetime.now(UTC))

    return [
        Page("/now", "Now", "now.html", now),
        Page("/flow", "Flow", "flow.html", flow),
        Page("/workers", "Workers", "workers.html", workers),
    ]
