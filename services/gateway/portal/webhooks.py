"""The page of webhooks: what each was told lately, and the forms to register, test, change and delete them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from aiohttp import hdrs

from exhaust.errors import ErrorCode, ExhaustError
from exhaust.http.query import check_query
from schemas.operations import Operation
from schemas.webhooks import EVENTS
from services.gateway.portal.frame import see_other
from services.gateway.portal.guard import FORM
from services.gateway.portal.operations import path_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aiohttp import web

    from services.gateway.portal.frame import Frame
    from services.gateway.portal.operations import ApiOperations

WEBHOOKS: Final = "/v2/webhooks"
ONE: Final = "/v2/webhooks/{webhookid}"
ACTIONS: Final = ("test", "replay", "rotate", "enable", "disable", "delete")
SHOWN_DELIVERIES: Final = 10
_QUERY: Final = Operation("/webhooks", "")


@dataclass(frozen=True, slots=True)
class WebhookShown:
    """A webhook and its last deliveries."""

    told: Mapping[str, Any]
    deliveries: Sequence[Mapping[str, Any]]


class Webhooks:
    """The webhooks of the session's holder. One of somebody else is answered like an unknown one."""

    def __init__(self, operations: ApiOperations, frame: Frame) -> None:
        self._operations = operations
        self._frame = frame

    async def show(self, request: web.Request) -> web.Response:
        """Answer GET /portal/webhooks."""
        check_query(request.query, _QUERY)
        return await self._page(request)

    async def register(self, request: web.Request) -> web.Response:
        """Answer POST /portal/webhooks: register one, and show its secret once."""
        form = request[FORM]
        url, events = form.get("url", "").strip(), form.getall("events", [])
        body: dict[str, object] = {"url": url, "events": events}
        try:
            made = (await self._operations.call(request, hdrs.METH_POST, WEBHOOKS, body=body)).result
        except ExhaustError as error:
            if error.code is not ErrorCode.INVALID_DATA_ERROR:
                raise
            return await self._page(request, refused=error.message, url=url, status=error.status)
        return await self._page(request, secret=made["secret"], of=made["webhook"]["url"])

    async def act(self, request: web.Request) -> web.Response:
        """Answer POST /portal/webhooks/{webhookid}/{action}; a new secret is shown once."""
        action, path = request.match_info["action"], path_of(ONE, webhookid=request.match_info["webhookid"])
        if action in {"enable", "disable"}:
            await self._operations.call(request, hdrs.METH_PATCH, path, body={"enabled": action == "enable"})
        elif action == "delete":
            await self._operations.call(request, hdrs.METH_DELETE, path)
        elif action == "replay":
            body = {"delivery": request[FORM].get("delivery", "")}
            await self._operations.call(request, hdrs.METH_POST, f"{path}/replay", body=body)
        else:
            result = (await self._operations.call(request, hdrs.METH_POST, f"{path}/{action}")).result
            if action == "rotate":
                return await self._page(request, secret=result["secret"], of=result["webhook"]["url"])
        return see_other("/webhooks")

    async def _page(
        self,
        request: web.Request,
        *,
        status: int = 200,
        secret: str = "",
        of: str = "",
        refused: str = "",
        url: str = "",
    ) -> web.Response:
        told = (await self._operations.get(request, WEBHOOKS))["webhooks"]
        shown = await asyncio.gather(*(self._shown(request, one) for one in told))
        return self._frame.page(
            request,
            "webhooks.html",
            status=status,
            webhooks=shown,
            secret=secret,
            of=of,
            refused=refused,
            given=url,
            every=sorted(EVENTS),
        )

    async def _shown(self, request: web.Request, told: Mapping[str, Any]) -> WebhookShown:
        path = f"{path_of(ONE, webhookid=told['id'])}/deliveries"
        deliveries = (await self._operations.get(request, path))["deliveries"]
        return WebhookShown(told, deliveries[:SHOWN_DELIVERIES])
