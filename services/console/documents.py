"""The pages that show the latest look at all stages: Now. `exhaustctl` shows the same documents."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from exhaust.lag.assessment import flow_document, now_document
from services.console.pages import Page

if TYPE_CHECKING:
    from aiohttp import web

    from exhaust.lag.assessment import Document
    from services.console.sampling import Sampling


def lag_pages(sampling: Sampling) -> list[Page]:
    """Build the pages of lag."""

    async def now(_request: web.Request) -> Document:
        return now_document(await sampling.assessment(), datetime.now(UTC))

    async def flow(_request: web.Request) -> Document:
        return flow_document(await sampling.assessment(), datetime.now(UTC))

    return [Page("/now", "Now", "now.html", now), Page("/flow", "Flow", "flow.html", flow)]
