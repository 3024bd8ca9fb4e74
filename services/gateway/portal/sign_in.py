"""Signing in with the license key, and out again. The key is sent in a form, and never kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exhaust.errors import ErrorCode, ExhaustError
from exhaust.http.query import check_query
from schemas.operations import Operation
from services.gateway.portal.frame import SIGN_IN, see_other
from services.gateway.portal.guard import FORM

if TYPE_CHECKING:
    from aiohttp import web

    from services.gateway.portal.cookies import PortalCookie
    from services.gateway.portal.frame import Frame
    from services.gateway.portal.sessions import Sessions

_QUERY = Operation(SIGN_IN, "", query=frozenset({"ended"}))


class SignIn:
    """The page of signing in."""

    def __init__(self, sessions: Sessions, cookie: PortalCookie, frame: Frame, issuer: str) -> None:
        """Prepare; `issuer` is the host of the issuer at which one may sign in too, if there is one."""
        self._issuer = issuer
        self._sessions = sessions
        self._cookie = cookie
        self._frame = frame

    async def form(self, request: web.Request) -> web.Response:
        """Answer GET /portal/sign-in."""
        check_query(request.query, _QUERY)
        return self._frame.page(
            request, "sign_in.html", error=None, ended="ended" in request.query, issuer=self._issuer
        )

    async def sign_in(self, request: web.Request) -> web.StreamResponse:
        """Answer POST /portal/sign-in."""
        try:
            session_id = await self._sessions.open(request[FORM].get("licensekey", "").strip())
        except ExhaustError as error:
            if error.code is not ErrorCode.LOGIN_FAILED:
                raise
            return self._page(request, error)
        await self._sessions.end(self._cookie.read(request))
        response = see_other("")
        self._cookie.write(request, response, session_id)
        return response

    async def sign_out(self, request: web.Request) -> web.StreamResponse:
        """Answer POST /portal/sign-out."""
        await self._sessions.end(self._cookie.read(request))
        response = see_other(SIGN_IN)
        self._cookie.clear(request, response)
        return response

    def _page(self, request: web.Request, error: ExhaustError | None = None, *, ended: bool = False) -> web.Response:
        return self._frame.page(
            request,
            "sign_in.html",
            status=error.status if error else 200,
            error=error.message if error else None,
            ended=ended,
            issuer=self._issuer,
        )
