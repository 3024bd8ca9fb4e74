"""Calls that the gateway passes on to the status service, after it has authenticated the caller."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import quote

import aiohttp
import orjson
import structlog
from aiohttp import web
from yarl import URL

from exhaust.domain.requests import parse_request_id
from exhaust.errors import ErrorCode, ExhaustError, unavailable
from exhaust.http.endpoint import Answer
from exhaust.http.envelope import required
from schemas.operations import (
    LIST_PATH,
    MAX_WAIT,
    STATUS_PATH,
    STATUSES_PATH,
    UPDATE_PATH,
    USER_HEADER,
    statuses_request,
    update_request,
)
from services.gateway.status_reads import StatusReads

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pydantic import HttpUrl, SecretStr

    from exhaust.http.endpoint import Call
    from schemas.bodies import Body, KeyBody
    from schemas.operations import ReadAnswer, ReadFailure, StatusesResult, StatusRead, UpdateBody
    from services.gateway.auth.access import Access
    from services.gateway.status_reads import Result

PASSED_BACK: Final = ("Content-Type", "Retry-After")  # the rest is of the connection, or added to every answer
PROMPT: Final = aiohttp.ClientTimeout(total=20, connect=5)
PATIENT: Final = aiohttp.ClientTimeout(total=MAX_WAIT.total_seconds() + 10, connect=5)

log = structlog.get_logger(__name__)


class _Reply(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


class StatusService:
    """The status service's internal listener."""

    def __init__(self, session: aiohttp.ClientSession, url: HttpUrl, token: SecretStr, access: Access) -> None:
        self._session = session
        self._url = str(url).rstrip("/")
        self._token = token
        self._access = access
        self._reads = StatusReads(self._ask)

    async def status(self, call: Call[KeyBody]) -> Answer | web.Response:
        """POST /v2/datasets/requests/status/{requestid}; with `?wait=30` the answer is passed back as it is."""
        client = await self._access.authenticate_and_throttle(call)
        request_id = parse_request_id(call.path("requestid"))
        if "wait" in call.http.query:
            return await self._pass_on(call, client.user_id, STATUS_PATH.format(requestid=request_id))
        return Answer(await self._reads.read(client.user_id, request_id))

    async def page(self, call: Call[KeyBody]) -> web.Response:
        """POST /v2/datasets/requests/{partnerid}; the answer is passed back as it is."""
        client = await self._access.authenticate_and_throttle(call)
        partner_id = required(call.path("partnerid"), ErrorCode.MISSING_PARTNERID, "partnerid")
        await self._access.authorize_partner(client, partner_id)
        return await self._pass_on(call, client.user_id, LIST_PATH.format(partnerid=quote(partner_id, safe="")))

    async def update(self, call: Call[UpdateBody]) -> web.Response:
        """POST /v2/datasets/requests/update/{requestid}, of the internal listener; passed on and back as it is."""
        request_id = parse_request_id(call.path("requestid"))
        return await self._pass_on(call, 0, UPDATE_PATH.format(requestid=request_id), update_request(call.body))

    async def _pass_on(
        self, call: Call[Body], user_id: int, path: str, request: Mapping[str, object] | None = None
    ) -> web.Response:
        # Only the caller's identity and message id go on; the license key stays here.
        body = orjson.dumps({"params": {"msgid": call.msgid}, "request": request or {}})
        url = URL(f"{self._url}{path}", encoded=True).with_query(call.http.query)
        headers = {
            "traceparent": call.traceparent,
            "Accept": call.http.headers.get("Accept", "*/*"),
            USER_HEADER: str(user_id),
        }
        reply = await self._post(url, body, headers, PATIENT)
        return web.Response(body=reply.body, status=reply.status, headers=reply.headers)

    async def _ask(self, reads: Sequence[StatusRead]) -> list[Result]:
        url = URL(f"{self._url}{STATUSES_PATH}")
        reply = await self._post(url, orjson.dumps({"request": statuses_request(reads)}), {}, PROMPT)
        if reply.status != HTTPStatus.OK:
            log.warning("status_service.refused", status=reply.status)
            raise unavailable("the status service")
        result: StatusesResult = orjson.loads(reply.body)["result"]
        return [_result(answer) for answer in result["answers"]]

    async def _post(self, url: URL, body: bytes, headers: Mapping[str, str], within: aiohttp.ClientTimeout) -> _Reply:
        known = {"Authorization": f"Bearer {self._token.get_secret_value()}", "Content-Type": "application/json"}
        try:
            async with self._session.post(url, data=body, headers={**known, **headers}, timeout=within) as answer:
                passed = {name: answer.headers[name] for name in PASSED_BACK if name in answer.headers}
                return _Reply(answer.status, passed, await answer.read())
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise unavailable("the status service") from error


def _result(answer: ReadAnswer | ReadFailure) -> Result:
    if "err" in answer:
        return ExhaustError(ErrorCode(answer["err"]), answer["errmsg"])
    return answer["result"]
