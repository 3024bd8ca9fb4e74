"""Asking for days: the estimate, the same request for programs, and the submit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from aiohttp import hdrs

from exhaust.errors import ErrorCode, ExhaustError
from exhaust.http.query import check_query
from schemas.operations import Operation
from services.gateway.idempotency import HEADER
from services.gateway.portal.choice import FIELDS, Choice, choice_of
from services.gateway.portal.copies import copies_of
from services.gateway.portal.frame import SESSION, see_other
from services.gateway.portal.guard import FORM

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp import web

    from services.gateway.portal.cookies import SessionCookie
    from services.gateway.portal.frame import Frame
    from services.gateway.portal.operations import ApiOperations

_QUERY: Final = Operation("/ask", "", query=frozenset(FIELDS))
_CHOSEN_WRONG: Final = frozenset({ErrorCode.INVALID_DATA_ERROR, ErrorCode.INVALID_DATE, ErrorCode.DATE_RANGE_TOO_LARGE})
# Then the page does without one: whoever knows what is wanted can still ask for it.
_NO_ESTIMATE: Final = frozenset({ErrorCode.NOT_FOUND, ErrorCode.SERVICE_UNAVAILABLE})
_INTENT: Final = "intent"  # of a form, so that a second press of its button asks for nothing more


class Ask:
    """The page that tells what a request takes, and its form."""

    def __init__(self, operations: ApiOperations, frame: Frame, cookie: SessionCookie) -> None:
        self._operations = operations
        self._frame = frame
        self._cookie = cookie

    async def estimate(self, request: web.Request) -> web.Response:
        """Answer GET /portal/ask."""
        check_query(request.query, _QUERY)
        choice = choice_of(request.query)
        refused, estimate = "", None
        try:
            path = f"{choice.path}/estimate"
            estimate = (await self._operations.call(request, hdrs.METH_POST, path, body=_body(request, choice))).result
        except ExhaustError as error:
            if error.code in _CHOSEN_WRONG:
                refused = error.message
            elif error.code not in _NO_ESTIMATE:
                raise
        return self._page(request, choice, estimate, refused, status=400 if refused else 200)

    async def submit(self, request: web.Request) -> web.Response:
        """Answer POST /portal/requests: submit the choice, and show the request."""
        form = request[FORM]
        choice = choice_of(form)
        headers = {HEADER: form[_INTENT]} if form.get(_INTENT) else {}
        try:
            reply = await self._operations.call(
                request, hdrs.METH_POST, choice.path, body=_body(request, choice), headers=headers
            )
        except ExhaustError as error:
            return self._page(request, choice, None, error.message, status=error.status)
        return see_other("/requests", reply.result["requestid"])

    def _page(
        self, request: web.Request, choice: Choice, estimate: Mapping[str, Any] | None, refused: str, *, status: int
    ) -> web.Response:
        session = request[SESSION]
        base = f"{self._cookie.scheme(request)}://{request.host}"
        return self._frame.page(
            request,
            "ask.html",
            status=status,
            choice=choice,
            estimate=estimate,
            refused=refused,
            intent=str(uuid4()),
            copies=copies_of(choice, base, session.client.license_key_name),
        )


def _body(request: web.Request, choice: Choice) -> dict[str, object]:
    """Return the body of a submit; the user name is that of the license key."""
    return {"partnerid": choice.partner, "username": request[SESSION].client.license_key_name}
