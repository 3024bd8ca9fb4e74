"""Calls that the gateway passes on to the status service, after it has authenticated the caller."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import aiohttp
import orjson
from aiohttp import web

from exhaust.envelope import CALLER_HEADER, Operation
from exhaust.errors import unavailable
from exhaust.requests import parse_request_id

if TYPE_CHECKING:
    from pydantic import HttpUrl, SecretStr

    from exhaust.http_edge import Call
    from services.gateway.access import Access

STATUS: Final = Operation("ekstep.data_exhaust_dataset_request_status_service", "2.0")
TIMEOUT: Final = aiohttp.ClientTimeout(total=20, connect=5)


class StatusService:
    """The status service's internal listener."""

    def __init__(self, session: aiohttp.ClientSession, url: HttpUrl, token: SecretStr, access: Access) -> None:
        self._session = session
        self._url = str(url).rstrip("/")
        self._token = token
        self._access = access

    async def status(self, call: Call) -> web.Response:
        """POST /v2/datasets/requests/status/{requestid}; the answer is passed back as it is."""
        client = await self._access.authenticate(call.part)
        request_id = parse_request_id(call.path("requestid"))
        # Only the caller's identity and message id go on; the license key stays here.
        body = orjson.dumps({"params": {"msgid": call.msgid}, "request": {}})
        headers = {
            "Authorization": f"Bearer {self._token.get_secret_value()}",
            "Content-Type": "application/json",
            "traceparent": call.traceparent,
            CALLER_HEADER: str(client.user_id),
        }
        url = f"{self._url}/v2/datasets/requests/status/{request_id}"
        try:
            async with self._session.post(url, data=body, headers=headers, timeout=TIMEOUT) as answer:
                return web.Response(
                    body=await answer.read(),
                    status=answer.status,
                    content_type="application/json",
                    headers={"Cache-Control": "no-store"},
                )
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise unavailable("the status service") from error
