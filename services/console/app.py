"""The application of the console: pages and JSON under the prefix, health and metrics beside it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from aiohttp import web

from exhaust.http.health import health_routes, metrics_route
from exhaust.http.pages.headers import add_page_headers
from exhaust.http.pages.static_files import StaticFiles
from exhaust.http.request import MAX_BODY_BYTES
from services.console.actions import Actions
from services.console.error_pages import error_pages
from services.console.frame import Frame
from services.console.pages import page_routes
from services.console.settings import OWN_RUNBOOKS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exhaust.process.health import Health
    from services.console.access import Gate
    from services.console.action_runs import Tools
    from services.console.pages import Page

START: Final = "/now"
STATIC: Final = Path(__file__).with_name("static")


def console_app(
    health: Health,
    pages: Sequence[Page],
    *,
    prefix: str = "/",
    runbooks: str = OWN_RUNBOOKS,
    gate: Gate | None = None,
    tools: Tools | None = None,
) -> web.Application:
    """Build the console's listener.

    Args:
        health: of the process.
        pages: what it shows, in the order of the navigation.
        prefix: under which pages are mounted; health and metrics stay at their own addresses.
        runbooks: the start of their address.
        gate: finds out who calls; None lets everybody look, and nobody act.
        tools: what actions work with; None where nobody may act.
    """
    static = StaticFiles(STATIC)
    navigation = [(page.path, page.title) for page in pages if page.title]
    frame = Frame(static, navigation, prefix=prefix, runbooks=runbooks)
    app = web.Application(middlewares=[error_pages(frame)], client_max_size=MAX_BODY_BYTES)
    if gate is not None:
        app.middlewares.append(gate.middleware())
        frame.add_context(gate.context)
        app.add_routes(Actions(tools, frame).routes())
    app.on_response_prepare.append(add_page_headers)
    app.add_routes([*health_routes(health), metrics_route(health), *page_routes(pages, frame)])
    app.add_routes([web.get(f"{frame.prefix}/static/{{name}}", static.serve)])
    starts = {f"{frame.prefix}/", frame.prefix or "/"}
    app.add_routes([web.get(path, partial(_redirect, frame.prefix + START)) for path in sorted(starts)])
    return app


async def _redirect(address: str, _request: web.Request) -> web.Response:
    raise web.HTTPFound(address)
