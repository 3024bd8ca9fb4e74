"""Calls that the gateway passes on to the status service, after it has authenticated the caller."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import aiohttp
import orjson
from aiohttp import web
from yarl import URL

from exhaust.envelope import CALLER_HEADER, Operation, required
from exhaust.errors import ErrorCode, unavailable
from exhaust.requests import parse_request_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import HttpUrl, SecretStr

    from exhaust.http_edge import Call
    from services.gateway.access import Access

STATUS: Final = Operation("ekstep.data_exhaust_dataset_request_status_service", "2.0")
UPDATE: Final = Operation("ekstep.data_exhaust_dataset_request_update_service", "2.0")
LIST: Final = Operation("ekstep.data_exhaust_dataset_requests_service", "2.0")
# Longer than the longest wait that a caller may ask for.
TIMEOUT: Final = aiohttp.ClientTimeout(total=40, connect=5)


class StatusService:
    """The status service's internal listener."""

    def __init__(self, session: aiohttp.ClientSession, url: HttpUrl, token: SecretStr, access: Access) -> None:
        self._session = session
        self._url = str(url).rstrip("/")
        self._token = token
        self._access = access

    async def status(self, call: Call) -> web.Response:
        """POST /v2/datasets/requests/status/{requestid}; the answer is passed back as it is."""
        client = await self._access.admit(call)
        request_id = parse_request_id(call.path("requestid"))
        return await self._pass_on(call, client.user_id, f"/v2/datasets/requests/status/{request_id}")

    async def list(self, call: Call) -> web.Response:
        """POST /v2/datasets/requests/{partnerid}; the answer is passed back as it is."""
        client = await self._access.admit(call)
        partner_id = required(call.path("partnerid"), ErrorCode.MISSING_PARTNERID, "partnerid")
        await self._access.authorize_partner(client, partner_id)
        return await self._pass_on(call, client.user_id, f"/v2/datasets/requests/{quote(partner_id, safe='')}")

    async def update(self, call: Call) -> web.Response:
        """POST /v2/datasets/requests/update/{requestid}, of the internal listener; passed on and back as it is."""
        request_id = parse_request_id(call.path("requestid"))
        body = {"status": call.part.status, "downloadurl": call.part.download_url}
        return await self._pass_on(call, 0, f"/v2/datasets/requests/update/{request_id}", body)

    async def _pass_on(
        self, call: Call, user_id: int, path: str, request: Mapping[str, object] | None = None
    ) -> web.Response:
        # Only the caller's identity and message id go on; the license key stays here.
        body = orjson.dumps({"params": {"msgid": call.msgid}, "request": request or {}})
        headers = {
            "Authorization": f"Bearer {self._token.get_secret_value()}",
            "Content-Type": "application/json",
            "traceparent": call.traceparent,
            CALLER_HEADER: str(user_id),
        }
        url = URL(f"{self._url}{path}", encoded=True).with_query(call.http.query)
        try:
            async with self._session.post(url, data=body, headers=headers, timeout=TIMEOUT) as answer:
                return web.Response(
                    body=await answer.read(),
                    status=answer.status,
                    content_type="application/json",
                    headers={"Cache-Control": "no-store"},
                )
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise unavailable("the status service") from error
