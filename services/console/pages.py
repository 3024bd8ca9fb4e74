"""The pages of the console. One address is both: HTML for a browser, JSON for everybody else."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import orjson
from aiohttp import web

from exhaust.errors import unavailable
from exhaust.http.accept import prefers_html
from exhaust.http.query import check_query
from exhaust.postgres.database import TABLES_DIFFER
from schemas.operations import Operation

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from services.console.frame import Frame

Document = dict[str, Any]
WITHIN: Final = timedelta(seconds=1.8)  # a page is there within two seconds, also when a server hangs
_VARY: Final = {"Vary": "Accept, HX-Request"}


@dataclass(frozen=True, slots=True)
class Page:
    """A page.

    Attributes:
        path: of its route, such as /requests/{request}.
        title: in the head and the navigation; an empty one keeps it out of the navigation.
        template: its file in templates/, which gets the document as `page`.
        document: returns what JSON shows as it is. It raises ExhaustError where there is nothing to show.
        query: the parameters that it reads; others are refused by name.
    """

    path: str
    title: str
    template: str
    document: Callable[[web.Request], Awaitable[Document]]
    query: frozenset[str] = frozenset()


def page_routes(pages: Iterable[Page], frame: Frame) -> list[web.RouteDef]:
    """Build the routes of pages, under the frame's prefix."""
    return [web.get(frame.prefix + page.path, partial(_answer, page, frame)) for page in pages]


def html_response(text: str, status: int = 200) -> web.Response:
    """Answer with a page."""
    return web.Response(text=text, status=status, content_type="text/html", headers=_VARY)


async def _answer(page: Page, frame: Frame, request: web.Request) -> web.Response:
    check_query(request.query, Operation(page.path, "", query=page.query))
    document = await _in_time(page.document(request))
    if prefers_html(request):
        return html_response(frame.render(request, page.template, title=page.title, page=document))
    return web.Response(body=orjson.dumps(document), content_type="application/json", headers=_VARY)


async def _in_time(reading: Awaitable[Document]) -> Document:
    """Return a document that is there soon.

    A driver that waits for a frozen server may not end soon when it is cancelled, so nobody waits for that.

    Raises:
        ExhaustError: SERVICE_UNAVAILABLE.
    """
    task = asyncio.ensure_future(reading)
    await asyncio.wait({task}, timeout=WITHIN.total_seconds())
    if not task.done():
        task.cancel()
        raise unavailable("what this page shows")
    try:
        return task.result()
    except TABLES_DIFFER as error:
        raise unavailable("a table, or the right to read it, of this version (see `exhaustctl migrate`),") from error
