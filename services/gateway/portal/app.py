"""The application of the portal, which the public listener serves under /portal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from exhaust.http.pages.headers import SECURITY_HEADERS
from exhaust.http.request import MAX_BODY_BYTES
from services.gateway.portal.cookies import SessionCookie
from services.gateway.portal.frame import PREFIX, SIGN_IN, Frame
from services.gateway.portal.guard import PORTAL, Guard
from services.gateway.portal.sessions import Sessions
from services.gateway.portal.sign_in import SignIn

if TYPE_CHECKING:
    from exhaust.http.endpoint import HttpMetrics
    from exhaust.postgres.database import Database
    from services.gateway.auth.access import Access


def install_portal(
    public: web.Application, database: Database, access: Access, metrics: HttpMetrics, *, proxies: int
) -> None:
    """Serve the portal on the public listener.

    Args:
        public: its application.
        database: where the sessions are.
        access: the authentication and the limits of callers.
        metrics: counts the calls.
        proxies: how many trusted proxies stand before the gateway.
    """
    frame, cookie, sessions = Frame(), SessionCookie(proxies), Sessions(database, access.keys)
    guard = Guard(sessions, cookie, access.rate_limits, frame, metrics.of(PORTAL))
    sign_in = SignIn(sessions, cookie, frame)

    async def home(request: web.Request) -> web.Response:
        return frame.page(request, "home.html")

    app = web.Application(middlewares=[guard.guard], client_max_size=MAX_BODY_BYTES)
    app.on_response_prepare.append(_add_headers)
    app.add_routes(
        [
            web.get("", home),
            web.get("/", home),
            web.get(SIGN_IN, sign_in.form),
            web.post(SIGN_IN, sign_in.sign_in),
            web.post("/sign-out", sign_in.sign_out),
            web.get("/static/{name}", frame.static.serve),
        ]
    )
    public.add_subapp(PREFIX, app)


async def _add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    """Set the headers of pages in place of those of the API; a script or style may be kept."""
    response.headers.update({name: value for name, value in SECURITY_HEADERS.items() if name != "Cache-Control"})
