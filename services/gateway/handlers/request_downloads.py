"""The download of a request: the address stays the same, and each call is sent on to a freshly signed link."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

import orjson
from aiohttp import hdrs, web

from exhaust.domain.requests import parse_request_id
from schemas.operations import DOWNLOAD_PATH
from services.gateway.forwarding import Forwarded, response_of

if TYPE_CHECKING:
    from exhaust.http.endpoint import Call
    from schemas.bodies import EmptyBody
    from services.gateway.auth.access import Access
    from services.gateway.shares import Shares
    from services.gateway.status_client import StatusServiceClient


class RequestDownloadHandler:
    """Answers GET and HEAD /v2/datasets/requests/{requestid}/download."""

    def __init__(self, client: StatusServiceClient, access: Access, shares: Shares) -> None:
        self._client = client
        self._access = access
        self._shares = shares

    async def download(self, call: Call[EmptyBody]) -> web.Response:
        """Send the caller on to the archive, by a link that the status service signs now and records in the audit."""
        client = await self._access.authenticate_api_key_and_throttle(call)
        path = DOWNLOAD_PATH.format(requestid=parse_request_id(call.path("requestid")))
        method = {"method": hdrs.METH_HEAD} if call.http.method == hdrs.METH_HEAD else {}
        with self._shares.links.hold(client.user_id):
            forwarded = Forwarded(call, client.user_id, path)
            reply = await forwarded.send(self._client, self._client.pools.links, query={**call.http.query, **method})
        if reply.status != HTTPStatus.OK:
            return response_of(reply)
        location = orjson.loads(reply.body)["result"]["url"]
        return web.Response(
            status=HTTPStatus.TEMPORARY_REDIRECT, headers={"Location": location, "Cache-Control": "no-store"}
        )
