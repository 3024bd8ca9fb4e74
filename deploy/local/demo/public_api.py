"""A client of the public API, as a partner writes one."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import aiohttp
from yarl import URL

from deploy.local.demo.errors import DemoError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from deploy.local.demo.date_ranges import DateRange

DATASET: Final = "eks-consumption-raw"
USERNAME: Final = "demo"
CALL_TIMEOUT: Final = aiohttp.ClientTimeout(total=30, sock_connect=5)
DOWNLOAD_TIMEOUT: Final = aiohttp.ClientTimeout(total=900, sock_connect=5, sock_read=60)
CHUNK_BYTES: Final = 1 << 20
HTTP_ERRORS_FROM: Final = 400
HTTP_TRY_AGAIN: Final = frozenset({429, 503})
TRIES: Final = 10
LONGEST_PAUSE: Final = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Status:
    """The state and progress of a request.

    Attributes:
        word: inprogress, complete or failed.
        days_done: Days whose archive exists, of `days_total`.
        events: Selected so far.
        bytes: Of the selected event lines so far, uncompressed.
        url: Where the download is, when complete.
        error: Why it failed, when it did.
    """

    word: str
    days_done: int
    days_total: int
    events: int
    bytes: int
    url: str
    error: str


class PublicApi:
    """The calls of the public API that the demo makes.

    All raise DemoError when the gateway answers with an error, with no envelope, or not at all.
    """

    def __init__(self, session: aiohttp.ClientSession, gateway: str) -> None:
        self._session = session
        self._gateway = gateway.rstrip("/")

    async def register(self, client: str, key_name: str) -> str:
        """Register a client and return its license key."""
        result = await self._call("/v1/client", {"clientName": client, "licenseKeyName": key_name})
        return _text(result, "licenseKey")

    async def submit(self, resource: str, dates: DateRange, key: str, partner: str) -> str:
        """Submit a request for a resource and return its request id."""
        result = await self._call(
            f"/v2/datasets/{DATASET}/{resource}/{dates.first.isoformat()}/{dates.last.isoformat()}",
            {"licenseKey": key, "partnerid": partner, "username": USERNAME},
        )
        return _text(result, "requestid")

    async def status(self, request_id: str, key: str) -> Status:
        """Return the state and progress of a request."""
        result = await self._call(f"/v2/datasets/requests/status/{request_id}", {"licenseKey": key})
        progress = result.get("progress")
        counts = progress if isinstance(progress, dict) else {}
        url = result.get("downloadurl")
        error = result.get("error")
        return Status(
            word=_text(result, "status"),
            days_done=_number(counts, "daysdone"),
            days_total=_number(counts, "daystotal"),
            events=_number(counts, "events"),
            bytes=_number(counts, "bytes"),
            url=url if isinstance(url, str) else "",
            error=json.dumps(error) if error else "",
        )

    async def download(self, url: str, target: Path) -> int:
        """Save the object of a signed URL and return its size in bytes."""
        size = 0
        try:
            # The signature covers the URL as it is written, so it must not be encoded again.
            async with self._session.get(URL(url, encoded=True), timeout=DOWNLOAD_TIMEOUT) as answer:
                if answer.status >= HTTP_ERRORS_FROM:
                    raise DemoError(f"the download answered {answer.status}: {(await answer.text())[:200]}")
                with await asyncio.to_thread(target.open, "wb") as file:
                    async for chunk in answer.content.iter_chunked(CHUNK_BYTES):
                        size += await asyncio.to_thread(file.write, chunk)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise DemoError(f"the download broke off after {size:,} bytes: {error!r}") from error
        return size

    async def _call(self, path: str, request: Mapping[str, object]) -> dict[str, object]:
        for _ in range(TRIES):
            try:
                async with self._session.post(
                    self._gateway + path, json={"request": request}, timeout=CALL_TIMEOUT
                ) as answer:
                    if answer.status not in HTTP_TRY_AGAIN:
                        return _result(path, answer.status, await answer.read())
                    pause = answer.headers.get("Retry-After", "")
            except (aiohttp.ClientError, TimeoutError) as error:
                raise DemoError(f"POST {path} got no answer: {error!r}") from error
            asked = timedelta(seconds=int(pause) if pause.isdecimal() else 1)
            await asyncio.sleep(min(asked, LONGEST_PAUSE).total_seconds())
        raise DemoError(f"POST {path} was put off {TRIES} times")


def _result(path: str, status: int, body: bytes) -> dict[str, object]:
    try:
        envelope = json.loads(body)
    except ValueError as error:
        raise DemoError(f"POST {path} answered {status} without an envelope") from error
    params = envelope.get("params", {}) if isinstance(envelope, dict) else {}
    if status >= HTTP_ERRORS_FROM or params.get("status") != "successful":
        raise DemoError(f"POST {path} answered {status} {params.get('err')}: {params.get('errmsg')}")
    result = envelope.get("result", {})
    return result if isinstance(result, dict) else {}


def _text(result: Mapping[str, object], key: str) -> str:
    value = result.get(key)
    if not isinstance(value, str) or not value:
        raise DemoError(f"an answer has no {key}")
    return value


def _number(counts: Mapping[str, object], key: str) -> int:
    value = counts.get(key)
    return value if isinstance(value, int) else 0
