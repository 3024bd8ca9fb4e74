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

    from services.gateway.portal.cookies import PortalCookie
    from services.gateway.portal.frame import Frame
    from services.gateway.portal.operations import ApiOperations

_QUERY: Final = Operation("/ask", "", query=frozenset(FIELDS))
# Of the choice; the visitor puts it right on the page.
_CHOSEN_WRONG: Final = frozenset(
    {
        ErrorCode.INVALID_DATA_ERROR,
        ErrorCode.INVALID_DATE,
        ErrorCode.DATE_RANGE_TOO_LARGE,
        ErrorCode.AUTHORIZATION_FAILED,
    }
)
_INTENT: Final = "intent"  # of a form, so that a second press of its button asks for nothing more


class Ask:
    """The page that tells what a request takes, and its form."""

    def __init__(self, operations: ApiOperations, frame: Frame, cookie: PortalCookie) -> None:
        self._operations = operations
        self._frame = frame
        self._cookie = cookie

    async def estimate(self, request: web.Request) -> web.Response:
        """Answer GET /portal/ask."""
        check_query(request.query, _QUERY)
        choice = choice_of(request.query)
        try:
            reply = await self._operations.call(
                request, hdrs.METH_POST, f"{choice.path}/estimate", body=_body(request, choice)
            )
        except ExhaustError as error:
            if error.code in _CHOSEN_WRONG:
                return self._page(request, choice, refused=error)
            if error.code is not ErrorCode.SERVICE_UNAVAILABLE:
                raise
            # Whoever knows what is wanted can still ask for it.
            return self._page(request, choice)
        return self._page(request, choice, reply.result)

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
            return self._page(request, choice, refused=error)
        return see_other("/requests", reply.result["requestid"])

    def _page(
        self,
        request: web.Request,
        choice: Choice,
        estimate: Mapping[str, Any] | None = None,
        *,
        refused: ExhaustError | None = None,
    ) -> web.Response:
        session = request[SESSION]
        base = f"{self._cookie.scheme(request)}://{request.host}"
        return self._frame.page(
            request,
            "ask.html",
            status=refused.status if refused else 200,
            choice=choice,
            estimate=estimate,
            refused=_in_words_of_the_page(refused.message) if refused else "",
            intent=str(uuid4()),
            copies=copies_of(choice, base, session.client.license_key_name),
        )


def _in_words_of_the_page(message: str) -> str:
    return message.replace("fromDate", "the first day").replace("toDate", "the last day")


def _body(request: web.Request, choice: Choice) -> dict[str, object]:
    """Return the body of a submit; the user name is that of the license key."""
    return {"partnerid": choice.partner, "username": request[SESSION].client.license_key_name}
