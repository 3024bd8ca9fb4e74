"""The HTTP client of the status service."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final, NamedTuple

import aiohttp
import orjson
import structlog
from yarl import URL

from exhaust.errors import ErrorCode, ExhaustError, unavailable
from schemas.operations import MAX_WAIT, STATUSES_PATH, USER_HEADER, statuses_request
from services.gateway.status_batches import StatusBatcher

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from pydantic import HttpUrl, SecretStr

    from schemas.operations import ReadAnswer, ReadFailure, StatusesResult, StatusRead
    from services.gateway.status_batches import Result

RETURNED_HEADERS: Final = ("Content-Type", "Retry-After")  # the rest is of the connection, or added to every answer
READ_TIMEOUT: Final = aiohttp.ClientTimeout(total=20, connect=5)
FORWARD_TIMEOUT: Final = aiohttp.ClientTimeout(total=MAX_WAIT.total_seconds() + 10, connect=5)

log = structlog.get_logger(__name__)


class Reply(NamedTuple):
    """An answer of the status service, to be returned to the caller as it is."""

    status: int
    headers: dict[str, str]
    body: bytes


class StatusServiceClient:
    """Calls the status service's internal listener, with the service token."""

    def __init__(self, session: aiohttp.ClientSession, url: HttpUrl, token: SecretStr) -> None:
        self._session = session
        self._url = str(url).rstrip("/")
        self._token = token
        self._batcher = StatusBatcher(self._read_many)

    async def read_status(self, user_id: int, request_id: UUID) -> Mapping[str, object]:
        """Return the status of a request, as far as the user may see it.

        Raises:
            ExhaustError: the status service's reason, or SERVICE_UNAVAILABLE when it does not answer.
        """
        return await self._batcher.read(user_id, request_id)

    async def forward(
        self, path: str, body: Mapping[str, object], *, user_id: int, query: Mapping[str, str], headers: dict[str, str]
    ) -> Reply:
        """Send a call of an authenticated user on, and return the answer as it is.

        Raises:
            ExhaustError: SERVICE_UNAVAILABLE when the status service does not answer.
        """
        url = URL(f"{self._url}{path}", encoded=True).with_query(query)
        return await self._post(url, orjson.dumps(body), headers | {USER_HEADER: str(user_id)}, FORWARD_TIMEOUT)

    async def _read_many(self, reads: Sequence[StatusRead]) -> list[Result]:
        url = URL(f"{self._url}{STATUSES_PATH}")
        reply = await self._post(url, orjson.dumps({"request": statuses_request(reads)}), {}, READ_TIMEOUT)
        if reply.status != HTTPStatus.OK:
            log.warning("status_service.refused", status=reply.status)
            raise unavailable("the status service")
        result: StatusesResult = orjson.loads(reply.body)["result"]
        return [_result(answer) for answer in result["answers"]]

    async def _post(self, url: URL, body: bytes, headers: dict[str, str], within: aiohttp.ClientTimeout) -> Reply:
        known = {"Authorization": f"Bearer {self._token.get_secret_value()}", "Content-Type": "application/json"}
        try:
            async with self._session.post(url, data=body, headers=known | headers, timeout=within) as answer:
                returned = {name: answer.headers[name] for name in RETURNED_HEADERS if name in answer.headers}
                return Reply(answer.status, returned, await answer.read())
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise unavailable("the status service") from error


def _result(answer: ReadAnswer | ReadFailure) -> Result:
    if "err" in answer:
        return ExhaustError(ErrorCode(answer["err"]), answer["errmsg"])
    return answer["result"]
