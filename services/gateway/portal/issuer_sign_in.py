"""Signing in at an issuer of tokens (OpenID Connect): an authorization code with PKCE, a state and a nonce.

The browser comes back from another site, so that it sends no cookie of ours then. The page at which it arrives goes on
by a form, with which it does.
"""

from __future__ import annotations

import hmac
import re
from typing import TYPE_CHECKING, Final

from aiohttp import web
from yarl import URL

from exhaust.errors import ErrorCode, ExhaustError
from exhaust.http.query import check_query
from schemas.operations import Operation
from services.gateway.portal.attempt import Attempt
from services.gateway.portal.frame import CALLBACK, SIGN_IN, see_other, url
from services.gateway.portal.guard import FORM

if TYPE_CHECKING:
    from services.gateway.portal.cookies import PortalCookie
    from services.gateway.portal.frame import Frame
    from services.gateway.portal.issuer_client import IssuerClient
    from services.gateway.portal.sessions import Sessions

_NONE: Final = Operation("", "")
_ERROR_CODE: Final = re.compile(r"[a-z_]{1,64}")


class IssuerSignIn:
    """The way to the issuer and back."""

    def __init__(
        self, issuer: IssuerClient, sessions: Sessions, cookie: PortalCookie, attempts: PortalCookie, frame: Frame
    ) -> None:
        """Prepare; `attempts` is the cookie of those who are on their way."""
        self._issuer = issuer
        self._sessions = sessions
        self._cookie = cookie
        self._attempts = attempts
        self._frame = frame

    async def leave(self, request: web.Request) -> web.Response:
        """Answer GET /portal/sign-in/issuer: send the browser to the issuer."""
        check_query(request.query, _NONE)
        attempt = Attempt.begin()
        address = self._issuer.address(attempt, self._came_back(request))
        response = web.Response(status=303, headers={"Location": str(address)})
        self._attempts.write(request, response, attempt.secret)
        return response

    async def arrive(self, request: web.Request) -> web.Response:
        """Answer GET /portal/sign-in/callback, whose query is the issuer's: a page that goes on by a form."""
        error = request.query.get("error", "")
        if error:
            code = error if _ERROR_CODE.fullmatch(error) else "an error"
            return self._refused(request, f"{self._issuer.host} did not sign you in ({code}); try again")
        fields = {name: request.query.get(name, "") for name in ("code", "state", "iss")}
        return self._frame.page(request, "callback.html", fields=fields)

    async def finish(self, request: web.Request) -> web.StreamResponse:
        """Answer POST /portal/sign-in/callback: take the code to the issuer, and open a session."""
        form, attempt = request[FORM], Attempt(self._attempts.read(request))
        known = hmac.compare_digest(form.get("state", "").encode(errors="replace"), attempt.state.encode())
        if not attempt.secret or not known or form.get("iss", "") not in {"", self._issuer.name}:
            return self._refused(request, "this sign-in was begun elsewhere, or too long ago; begin again")
        try:
            subject = await self._issuer.redeem(form.get("code", ""), attempt, self._came_back(request))
            session_id = await self._sessions.open_for_subject(subject)
        except ExhaustError as error:
            if error.code is not ErrorCode.LOGIN_FAILED:
                raise
            return self._refused(request, error.message)
        await self._sessions.end(self._cookie.read(request))
        response = see_other("")
        self._attempts.clear(request, response)
        self._cookie.write(request, response, session_id)
        return response

    def _refused(self, request: web.Request, message: str) -> web.Response:
        page = self._frame.page(
            request, "sign_in.html", status=401, error=message, ended=False, issuer=self._issuer.host
        )
        self._attempts.clear(request, page)
        return page

    def _came_back(self, request: web.Request) -> URL:
        return URL(f"{self._cookie.scheme(request)}://{request.host}{url(SIGN_IN)}{CALLBACK}")
