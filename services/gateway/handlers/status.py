"""Status, cancel, list and update: the status service answers after the gateway has authenticated the caller."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from aiohttp import hdrs

from exhaust.domain.requests import parse_request_id
from exhaust.errors import ErrorCode
from exhaust.http.disconnects import until_disconnected
from exhaust.http.endpoint import Answer
from exhaust.http.envelope import require_text
from schemas.operations import LIST_ALL_PATH, LIST_PATH, STATUS_PATH, UPDATE_PATH, update_request
from services.gateway.forwarding import Forwarded, response_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    import aiohttp
    from aiohttp import web

    from exhaust.http.endpoint import Call
    from exhaust.postgres.license_keys import Client
    from schemas.bodies import Body, EmptyBody, KeyBody
    from schemas.operations import UpdateBody
    from services.gateway.auth.access import Access
    from services.gateway.shares import Shares
    from services.gateway.status_client import StatusServiceClient

MOST_LISTED: Final = 100  # requests of a page
USUALLY_LISTED: Final = 50
LISTED_FOR_A_CALL: Final = 10  # a page counts as one call, and one more for so many requests
INTERNAL_USER = 0  # stands for the caller of an update, whom the service token alone authenticates


class StatusHandler:
    """Authenticates callers and asks the status service."""

    def __init__(self, client: StatusServiceClient, access: Access, shares: Shares) -> None:
        self._client = client
        self._access = access
        self._shares = shares

    async def status(self, call: Call[KeyBody]) -> Answer | web.Response:
        """Answer POST /v2/datasets/requests/status/{requestid}; with `?wait=30` the status service answers itself."""
        client = await self._access.authenticate_and_throttle(call)
        return await self._status(call, client, lambda: self._access.authenticate(call.body))

    async def status_by_get(self, call: Call[EmptyBody]) -> Answer | web.Response:
        """Answer GET /v2/datasets/requests/status/{requestid}, with the license key in X-API-Key, as POST is."""
        client = await self._access.authenticate_api_key_and_throttle(call)
        return await self._status(call, client, lambda: self._access.authenticate_api_key(call))

    async def _status(
        self, call: Call[Body], client: Client, authenticate: Callable[[], Awaitable[Client]]
    ) -> Answer | web.Response:
        request_id = parse_request_id(call.path("requestid"))
        if "wait" in call.http.query:
            path = STATUS_PATH.format(requestid=request_id)
            with self._shares.waits.hold(client.user_id):
                waiting = self._forward(self._client.pools.waits, call, client.user_id, path)
                response = await until_disconnected(call.http, waiting)
            await authenticate()  # the key may have been revoked meanwhile
            return response
        return Answer(await self._client.read_status(client.user_id, request_id))

    async def cancel(self, call: Call[KeyBody]) -> web.Response:
        """Cancel a request: the call by HTTP's delete of its status. The license key may also be in X-API-Key."""
        in_body = call.body.license_key is not None
        authenticate = (
            self._access.authenticate_and_throttle if in_body else self._access.authenticate_api_key_and_throttle
        )
        client = await authenticate(call)
        path = STATUS_PATH.format(requestid=parse_request_id(call.path("requestid")))
        with self._shares.changes.hold(client.user_id):
            return await self._forward(self._client.pools.updates, call, client.user_id, path, method=hdrs.METH_DELETE)

    async def list_requests(self, call: Call[KeyBody]) -> web.Response:
        """Answer POST /v2/datasets/requests/{partnerid}."""
        client = await self._access.authenticate_and_throttle(call, cost=_cost_of(call))
        return await self._list_of_partner(call, client)

    async def list_by_get(self, call: Call[EmptyBody]) -> web.Response:
        """Answer GET of the same; the license key is in X-API-Key."""
        client = await self._access.authenticate_api_key_and_throttle(call, cost=_cost_of(call))
        return await self._list_of_partner(call, client)

    async def list_all(self, call: Call[EmptyBody]) -> web.Response:
        """Answer GET /v2/datasets/requests: the requests of every partner for whom the license key may act."""
        client = await self._access.authenticate_api_key_and_throttle(call, cost=_cost_of(call))
        with self._shares.lists.hold(client.user_id):
            return await self._forward(self._client.pools.reads, call, client.user_id, LIST_ALL_PATH)

    async def _list_of_partner(self, call: Call[Body], client: Client) -> web.Response:
        partner_id = require_text(call.path("partnerid"), ErrorCode.MISSING_PARTNERID, "partnerid")
        await self._access.authorize_partner(client, partner_id)
        path = LIST_PATH.format(partnerid=quote(partner_id, safe=""))
        with self._shares.lists.hold(client.user_id):
            return await self._forward(self._client.pools.reads, call, client.user_id, path)

    async def update(self, call: Call[UpdateBody]) -> web.Response:
        """Answer POST /v2/datasets/requests/update/{requestid}, of the internal listener."""
        path = UPDATE_PATH.format(requestid=parse_request_id(call.path("requestid")))
        return await self._forward(self._client.pools.updates, call, INTERNAL_USER, path, update_request(call.body))

    async def _forward(
        self,
        pool: aiohttp.ClientSession,
        call: Call[Body],
        user_id: int,
        path: str,
        request: Mapping[str, object] | None = None,
        *,
        method: str = hdrs.METH_POST,
    ) -> web.Response:
        forwarded = Forwarded(call, user_id, path)
        return response_of(await forwarded.send(self._client, pool, request=request, method=method))


def _cost_of(call: Call[Body]) -> int:
    return list_cost(call.http.query.get("limit"))


def list_cost(limit: str | None) -> int:
    """Return the calls that a page of so many requests counts as; a limit that is none is refused later."""
    is_number = limit is not None and re.fullmatch("[0-9]{1,6}", limit, re.ASCII)
    listed = int(limit or 0) if is_number else USUALLY_LISTED
    return 1 + min(listed, MOST_LISTED) // LISTED_FOR_A_CALL
