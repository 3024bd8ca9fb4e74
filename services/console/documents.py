"""The JSON of the console: GET /now and GET /flow. Pages show the same documents."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson
from aiohttp import web

from exhaust.lag.assessment import flow_document, now_document

if TYPE_CHECKING:
    from collections.abc import Mapping

    from services.console.sampling import Sampling

_HEADERS = {"Cache-Control": "no-store"}


def document_routes(sampling: Sampling) -> list[web.RouteDef]:
    """Build the routes of the documents."""

    async def now(_request: web.Request) -> web.Response:
        return _answer(now_document(await sampling.assessment(), datetime.now(UTC)))

    async def flow(_request: web.Request) -> web.Response:
        return _answer(flow_document(await sampling.assessment(), datetime.now(UTC)))

    return [web.get("/now", now), web.get("/flow", flow)]


def _answer(document: Mapping[str, Any]) -> web.Response:
    return web.Response(body=orjson.dumps(document), content_type="application/json", headers=_HEADERS)
