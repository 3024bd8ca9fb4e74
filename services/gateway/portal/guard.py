"""The guard of the portal: it finds the session, refuses forms that are not of it, and answers errors as pages."""

from __future__ import annotations

import asyncio
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import structlog
from aiohttp import web
from multidict import MultiDict

from exhaust.errors import ErrorCode, ExhaustError, unavailable
from exhaust.http.endpoint import CALL_ID, HANDLER_TIMEOUT
from exhaust.http.error_responses import error_headers, internal_error
from exhaust.http.pages.forms import FORM_TYPE, form_pairs
from exhaust.http.pages.same_origin import check_origin
from exhaust.http.request import media_type, read_bytes
from exhaust.logs import REFUSED, bind_trace, traceparent_from
from schemas.operations import Operation
from services.gateway.portal.frame import CALLBACK, FRAGMENT_HEADER, ISSUER, PREFIX, SESSION, SIGN_IN, see_other, url
from services.gateway.portal.operations import UNREAD
from services.gateway.portal.sessions import check_csrf_token

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from exhaust.http.endpoint import OperationMetrics
    from services.gateway.portal.cookies import PortalCookie
    from services.gateway.portal.frame import Frame
    from services.gateway.portal.sessions import Sessions
    from services.gateway.rate_limits import RateLimits

PORTAL: Final = Operation("ekstep.data_exhaust_portal", "1.0", "portal", "")
FORM: Final = web.RequestKey("portal_form", MultiDict[str])
CSRF_FIELD: Final = "csrf_token"
_OPEN_PATHS: Final = frozenset(
    {*(f"{PREFIX}{SIGN_IN}{below}" for below in ("", ISSUER, CALLBACK)), f"{PREFIX}/static/{{name}}"}
)
_SENTENCES: Final = {404: "there is no such page", 405: "this address does not take such a call"}

log = structlog.get_logger(__name__)


class Guard:
    """The middleware of every page of the portal."""

    def __init__(
        self, sessions: Sessions, cookie: PortalCookie, limits: RateLimits, frame: Frame, metrics: OperationMetrics
    ) -> None:
        self._sessions = sessions
        self._cookie = cookie
        self._limits = limits
        self._frame = frame
        self._metrics = metrics

    @web.middleware
    async def guard(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Let a call pass that may, and count it."""
        started = time.monotonic()
        request[CALL_ID] = call_id = str(uuid4())
        bind_trace(traceparent_from(None), call_id=call_id, operation=PORTAL.label, api=PORTAL.version)
        response = await self._answer(request, handler)
        self._metrics.count(response.status, time.monotonic() - started)
        return response

    async def _answer(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        try:
            request[UNREAD] = request.clone()
            if request.method == "POST":
                check_origin(request)
                await _read_form(request)
            if not _is_open(request) and not await self._is_signed_in(request):
                return self._to_sign_in(request)
            async with asyncio.timeout(HANDLER_TIMEOUT.total_seconds()):
                return await handler(request)
        except TimeoutError:
            log.warning("http.timeout")
            return self.refuse(request, unavailable("the service"))
        except ExhaustError as error:
            return self.refuse(request, error)
        except web.HTTPException as error:
            what = _SENTENCES.get(error.status, error.reason)
            return self.refuse(request, ExhaustError(ErrorCode.NOT_FOUND, what, status=error.status))
        except ConnectionError:
            raise
        except Exception:
            log.exception("http.failed")
            return self.refuse(request, internal_error())

    async def _is_signed_in(self, request: web.Request) -> bool:
        session = await self._sessions.find(self._cookie.read(request))
        if session is None:
            return False
        request[SESSION] = session
        self._limits.check_holder(request, session.client.user_id)
        if request.method == "POST":
            check_csrf_token(session, request[FORM].get(CSRF_FIELD, ""))
        return True

    def _to_sign_in(self, request: web.Request) -> web.Response:
        ended = "1" if self._cookie.read(request) else ""
        if FRAGMENT_HEADER in request.headers:
            response = web.Response(status=HTTPStatus.UNAUTHORIZED, headers={"HX-Redirect": url(SIGN_IN, ended=ended)})
        else:
            response = see_other(SIGN_IN, ended=ended)
        self._cookie.clear(request, response)
        return response

    def refuse(self, request: web.Request, error: ExhaustError) -> web.Response:
        """Answer with an error as a page."""
        log.info(REFUSED, code=error.code, status=error.status)
        title = HTTPStatus(error.status).phrase
        return self._frame.page(
            request, "error.html", status=error.status, headers=error_headers(error), title=title, error=error
        )


def _is_open(request: web.Request) -> bool:
    """Return True for what needs no session; whatever has no route needs one."""
    resource = request.match_info.route.resource
    return resource is not None and resource.canonical in _OPEN_PATHS


async def _read_form(request: web.Request) -> None:
    """Read the form of a call.

    Raises:
        ExhaustError: INVALID_DATA_ERROR; with status 413 or 415 for a body of another size or type.
    """
    if media_type(request) != FORM_TYPE:
        raise ExhaustError(ErrorCode.INVALID_DATA_ERROR, f"send a form ({FORM_TYPE})", status=415)
    request[FORM] = MultiDict(form_pairs(await read_bytes(request)))
