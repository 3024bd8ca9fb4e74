"""The application of the portal, which the public listener serves under /portal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiohttp import web

from exhaust.http.pages.headers import SECURITY_HEADERS
from exhaust.http.request import MAX_BODY_BYTES
from services.gateway.portal.archive_reading import ArchiveReader
from services.gateway.portal.ask import Ask
from services.gateway.portal.cookies import ATTEMPT_LIFETIME, ATTEMPT_NAME, PortalCookie
from services.gateway.portal.frame import CALLBACK, ISSUER, PREFIX, SIGN_IN, Frame
from services.gateway.portal.guard import PORTAL, Guard
from services.gateway.portal.home import Home
from services.gateway.portal.issuer_sign_in import IssuerSignIn
from services.gateway.portal.keys import Keys
from services.gateway.portal.one import OneRequest
from services.gateway.portal.operations import ApiOperations
from services.gateway.portal.sessions import Sessions
from services.gateway.portal.sign_in import SignIn
from services.gateway.portal.webhooks import ACTIONS, Webhooks

if TYPE_CHECKING:
    from exhaust.http.endpoint import HttpMetrics
    from exhaust.postgres.database import Database
    from exhaust.s3.store import ObjectStore
    from services.gateway.auth.access import Access
    from services.gateway.portal.issuer_client import IssuerClient


@dataclass(frozen=True, slots=True)
class PortalParts:
    """What the portal works with, beside the operations of the API.

    Attributes:
        database: where the sessions are.
        access: the authentication and the limits of callers.
        objects: where archives are read from.
        bucket: of archives.
        proxies: how many trusted proxies stand before the gateway.
        issuer: at which partners may sign in, too.
    """

    database: Database
    access: Access
    objects: ObjectStore
    bucket: str
    proxies: int
    issuer: IssuerClient | None = None


def install_portal(public: web.Application, parts: PortalParts, metrics: HttpMetrics) -> None:
    """Serve the portal on the public listener.

    Args:
        public: its application, with all operations.
        parts: what the portal works with.
        metrics: counts the calls.
    """
    frame, cookie = Frame(), PortalCookie(parts.proxies)
    sessions = Sessions(parts.database, parts.access.keys, parts.access.subjects)
    guard = Guard(sessions, cookie, parts.access.rate_limits, frame, metrics.of(PORTAL))
    app = web.Application(middlewares=[guard.guard], client_max_size=MAX_BODY_BYTES)
    parts.access.rate_limits.answer_below(PREFIX, guard.refuse)
    app.on_response_prepare.append(_add_headers)
    app.add_routes(
        [
            *_sign_in_routes(parts, sessions, frame, cookie),
            web.get("/static/{name}", frame.static.serve),
            *_page_routes(ApiOperations(public), parts, frame, cookie),
        ]
    )
    public.add_subapp(PREFIX, app)


def _sign_in_routes(parts: PortalParts, sessions: Sessions, frame: Frame, cookie: PortalCookie) -> list[web.RouteDef]:
    sign_in = SignIn(sessions, cookie, frame, parts.issuer.host if parts.issuer else "")
    routes = [
        web.get(SIGN_IN, sign_in.form),
        web.post(SIGN_IN, sign_in.sign_in),
        web.post("/sign-out", sign_in.sign_out),
    ]
    if parts.issuer:
        attempts = PortalCookie(parts.proxies, ATTEMPT_NAME, ATTEMPT_LIFETIME)
        by_issuer = IssuerSignIn(parts.issuer, sessions, cookie, attempts, frame)
        routes += [
            web.get(f"{SIGN_IN}{ISSUER}", by_issuer.leave),
            web.get(f"{SIGN_IN}{CALLBACK}", by_issuer.arrive),
            web.post(f"{SIGN_IN}{CALLBACK}", by_issuer.finish),
        ]
    return routes


def _page_routes(
    operations: ApiOperations, parts: PortalParts, frame: Frame, cookie: PortalCookie
) -> list[web.RouteDef]:
    home, ask, keys = Home(operations, frame), Ask(operations, frame, cookie), Keys(parts.access.keys, frame)
    one = OneRequest(operations, frame, parts.database, ArchiveReader(parts.objects, parts.bucket))
    hooks = Webhooks(operations, frame)
    return [
        web.get("", home.show),
        web.get("/", home.show),
        web.get("/ask", ask.estimate),
        web.post("/requests", ask.submit),
        web.get("/requests/{requestid}", one.show),
        web.get("/requests/{requestid}/events", one.events),
        web.get("/requests/{requestid}/download", one.download),
        web.post("/requests/{requestid}/{action:cancel|retry|delete}", one.act),
        web.get("/keys", keys.show),
        web.post("/keys", keys.make),
        web.post("/keys/{number}/revoke", keys.revoke),
        web.get("/webhooks", hooks.show),
        web.post("/webhooks", hooks.register),
        web.post(f"/webhooks/{{webhookid}}/{{action:{'|'.join(ACTIONS)}}}", hooks.act),
    ]


async def _add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    """Set the headers of pages in place of those of the API; a script or style may be kept."""
    response.headers.update({name: value for name, value in SECURITY_HEADERS.items() if name != "Cache-Control"})
