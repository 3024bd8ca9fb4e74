"""The operations of the API, as the portal's pages call them: in this process, for the holder of the session.

A page has no way of its own to what the API does. The call meets the same checks of rights, limits, shares and query
parameters, and leaves the same rows in the audit.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import orjson
from aiohttp import hdrs, web
from yarl import URL

from exhaust.errors import ErrorCode, ExhaustError, unavailable
from exhaust.http.endpoint import Answer, Endpoint
from services.gateway.auth.access import SIGNED_IN, SignedIn
from services.gateway.portal.frame import SESSION

if TYPE_CHECKING:
    from collections.abc import Mapping

UNREAD: Final = web.RequestKey("portal_unread_request", web.Request)


@dataclass(frozen=True, slots=True)
class Reply:
    """What an operation has answered: its result, or where it sends the caller."""

    result: Mapping[str, Any]
    location: str = ""


class ApiOperations:
    """The operations of the public listener, found by their paths."""

    def __init__(self, public: web.Application) -> None:
        self._public = public

    async def get(self, page: web.Request, path: str, **query: object) -> Mapping[str, Any]:
        """Return the result of a GET; parameters that are None or empty are left out, and `_` after a name is.

        Raises:
            ExhaustError: as the operation answers it.
        """
        return (await self.call(page, hdrs.METH_GET, path, query=query)).result

    async def call(
        self,
        page: web.Request,
        method: str,
        path: str,
        *,
        query: Mapping[str, object] | None = None,
        body: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Call an operation for the holder of a page's session.

        Args:
            page: the call of the page.
            method: of the operation.
            path: with its parts quoted, see `path_of`.
            query: parameters; those that are None or empty are left out, and a list is sent value by value.
            body: the `request` part.
            headers: beside those that every call has.

        Raises:
            ExhaustError: as the operation answers it; NOT_FOUND when this gateway has no such operation.
        """
        given = {name.rstrip("_"): _written(value) for name, value in (query or {}).items() if value not in (None, "")}
        url = URL(path, encoded=True).with_query(given)
        http = page[UNREAD].clone(method=method, rel_url=url, headers={"Accept": "application/json", **(headers or {})})
        session = page[SESSION]
        http[SIGNED_IN] = SignedIn(session.client, session.key_number)
        match = await self._public.router.resolve(http)
        endpoint = getattr(match.handler, "__self__", None)
        if not isinstance(endpoint, Endpoint):
            raise ExhaustError(ErrorCode.NOT_FOUND, "there is no such operation here")
        try:
            answer = await endpoint.answer_page(http, body or {}, dict(match))
        except TimeoutError as error:
            raise unavailable("the service") from error
        if isinstance(answer, Answer):
            return Reply(answer.result or {})
        if isinstance(answer, web.Response):
            return _reply_of(answer)
        raise TypeError(f"{method} {path} streams its answer")


def path_of(template: str, **parts: object) -> str:
    """Return the path of an operation, with its parts quoted."""
    return template.format(**{name: quote(str(part), safe="") for name, part in parts.items()})


def _written(value: object) -> str | list[str]:
    return [str(one) for one in value] if isinstance(value, list) else str(value)


def _reply_of(response: web.Response) -> Reply:
    """Return what the status service has answered through the gateway."""
    if HTTPStatus.MULTIPLE_CHOICES <= response.status < HTTPStatus.BAD_REQUEST:
        return Reply({}, response.headers["Location"])
    answer = orjson.loads(response.body if isinstance(response.body, bytes) else b"{}")
    if response.status >= HTTPStatus.BAD_REQUEST:
        params = answer["params"]
        raise ExhaustError(ErrorCode(params["err"]), params["errmsg"], status=response.status)
    return Reply(answer.get("result") or {})
