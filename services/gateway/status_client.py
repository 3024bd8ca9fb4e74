"""The HTTP client of the status service, with a pool of connections for each kind of call.

A call waits for a connection behind calls of its own kind only: however many wait for the end of a request, others ask
how theirs stand.
"""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, NamedTuple

import aiohttp
import orjson
import structlog
from yarl import URL

from exhaust.errors import ErrorCode, ExhaustError, unavailable
from schemas.operations import MAX_WAIT, STATUSES_PATH, USER_HEADER, statuses_request
from services.gateway.shares import MAX_EVENT_STREAMS, MAX_WAITS
from services.gateway.status_batches import StatusBatcher

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from uuid import UUID

    from pydantic import HttpUrl, SecretStr

    from schemas.operations import ReadAnswer, ReadFailure, StatusesResult, StatusRead
    from services.gateway.status_batches import Result

RETURNED_HEADERS: Final = (
    "Content-Type",
    "Location",
    "Retry-After",
)  # the rest is of the connection, or added to every answer
CONNECT_TIMEOUT: Final = timedelta(seconds=5)  # also for a free connection of the pool
CALL_TIMEOUT: Final = timedelta(seconds=20)
MAX_READS_AT_ONCE: Final = 32
MAX_UPDATES_AT_ONCE: Final = 16
MAX_LINKS_AT_ONCE: Final = 16

log = structlog.get_logger(__name__)


class Reply(NamedTuple):
    """An answer of the status service, to be returned to the caller as it is."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Pools:
    """The connections to the status service, by the kind of call.

    Attributes:
        reads: statuses and lists, which are answered at once.
        waits: statuses that are answered when a request has ended.
        updates: reports of external jobs, and cancels.
        links: links to downloads, whose signatures take time of the processor.
        events: statuses that are answered when a request has changed.
    """

    reads: aiohttp.ClientSession
    waits: aiohttp.ClientSession
    updates: aiohttp.ClientSession
    links: aiohttp.ClientSession
    events: aiohttp.ClientSession


@asynccontextmanager
async def open_pools() -> AsyncIterator[Pools]:
    """Open the pools, which connect when they are first used; a call that is cancelled closes its connection."""
    async with AsyncExitStack() as stack:
        reads, waits, updates, links, events = [
            await stack.enter_async_context(_session(connections, within))
            for connections, within in (
                (MAX_READS_AT_ONCE, CALL_TIMEOUT),
                (MAX_WAITS, MAX_WAIT + CALL_TIMEOUT / 2),
                (MAX_UPDATES_AT_ONCE, CALL_TIMEOUT * 2),
                (MAX_LINKS_AT_ONCE, CALL_TIMEOUT),
                (MAX_EVENT_STREAMS, CALL_TIMEOUT),
            )
        ]
        yield Pools(reads, waits, updates, links, events)


def _session(connections: int, within: timedelta) -> aiohttp.ClientSession:
    timeout = aiohttp.ClientTimeout(total=within.total_seconds(), connect=CONNECT_TIMEOUT.total_seconds())
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=connections), timeout=timeout)


class StatusServiceClient:
    """Calls the status service's internal listener, with the service token."""

    def __init__(self, pools: Pools, url: HttpUrl, token: SecretStr) -> None:
        self.pools = pools
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
        self,
        pool: aiohttp.ClientSession,
        path: str,
        body: Mapping[str, object],
        *,
        user_id: int,
        query: Mapping[str, str],
        headers: dict[str, str],
        method: str,
    ) -> Reply:
        """Send a call of an authenticated user on by one of the pools, and return the answer as it is.

        Raises:
            ExhaustError: SERVICE_UNAVAILABLE when the status service does not answer.
        """
        url = URL(f"{self._url}{path}", encoded=True).with_query(query)
        return await self._call(pool, url, orjson.dumps(body), headers | {USER_HEADER: str(user_id)}, method=method)

    async def _read_many(self, reads: Sequence[StatusRead]) -> list[Result]:
        url = URL(f"{self._url}{STATUSES_PATH}")
        reply = await self._call(self.pools.reads, url, orjson.dumps({"request": statuses_request(reads)}), {})
        if reply.status != HTTPStatus.OK:
            log.warning("status_service.refused", status=reply.status)
            raise unavailable("the status service")
        result: StatusesResult = orjson.loads(reply.body)["result"]
        return [_result(answer) for answer in result["answers"]]

    async def _call(
        self,
        pool: aiohttp.ClientSession,
        url: URL,
        body: bytes,
        headers: dict[str, str],
        *,
        method: str = aiohttp.hdrs.METH_POST,
    ) -> Reply:
        known = {"Authorization": f"Bearer {self._token.get_secret_value()}", "Content-Type": "application/json"}
        try:
            async with pool.request(method, url, data=body, headers=known | headers) as answer:
                returned = {name: answer.headers[name] for name in RETURNED_HEADERS if name in answer.headers}
                return Reply(answer.status, returned, await answer.read())
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise unavailable("the status service") from error


def _result(answer: ReadAnswer | ReadFailure) -> Result:
    if "err" in answer:
        return ExhaustError(ErrorCode(answer["err"]), answer["errmsg"])
    return answer["result"]
