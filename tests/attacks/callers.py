"""Callers of the public API, each with an address, a client name and a license key of its own.

Nothing of the product is used here but HTTP: what is written by hand stays right when the product changes.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import aiohttp
from yarl import URL

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AsyncExitStack

    from deploy.local.stack import Stack

KEY_NAME: Final = "main"
PATIENCE_S: Final = 40.0
_LOOK_AGAIN_S: Final = 0.1
_IN_PROGRESS: Final = "inprogress"


def resource_of(owner: str) -> str:
    """The documented hash of a partner's or channel's id."""
    return hashlib.sha1(owner.encode(), usedforsecurity=False).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer as it came."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """The code of a refusal."""
        return str(self.json["params"]["err"])

    @property
    def told(self) -> tuple[int, str]:
        """Status and code; the code is empty for an answer that is no envelope."""
        is_json = self.headers.get("Content-Type", "").startswith("application/json")
        return self.status, self.error if is_json else ""

    @property
    def result(self) -> dict[str, Any]:
        assert self.status in {200, 202}, self
        result: dict[str, Any] = self.json["result"]
        return result


async def ask(
    http: aiohttp.ClientSession,
    url: str,
    request: Mapping[str, object] | None,
    *,
    headers: Mapping[str, str] | None = None,
    method: str = "POST",
) -> Reply:
    """Call an operation with the documented envelope; without a body when `request` is None.

    Args:
        http: the connections to use.
        url: already percent-encoded.
        request: the `request` part of the body.
        headers: beside those of the body.
        method: of HTTP.
    """
    body = None if request is None else {"id": "x", "ver": "2.0", "params": {"msgid": "m-1"}, "request": dict(request)}
    async with http.request(method, URL(url, encoded=True), json=body, headers=headers) as answer:
        return Reply(answer.status, answer.headers, await answer.read())


@dataclass(frozen=True, slots=True)
class Caller:
    """A registered client at an address of its own."""

    http: aiohttp.ClientSession
    stack: Stack
    name: str
    license_key: str

    @property
    def key(self) -> dict[str, str]:
        return {"licenseKey": self.license_key}

    async def may_read(self, *owners: str) -> None:
        """Grant the resources of these partners or channels, by the documented internal operation."""
        replies = await asyncio.gather(*(self._associate(resource_of(owner)) for owner in owners))
        assert {reply.status for reply in replies} <= {200}, replies

    async def _associate(self, resource: str) -> Reply:
        url = f"{self.stack.gateway_internal}/v1/associate/{resource}"
        return await ask(self.http, url, self.key, headers={"Authorization": f"Bearer {self.stack.service_token}"})

    async def submit(self, path: str, owner: str, *, query: str = "", **change: object) -> Reply:
        """POST /v2/datasets/{path}; `{}` in the path stands for the resource id of the owner."""
        url = f"{self.stack.gateway}/v2/datasets/{path.format(resource_of(owner))}{query}"
        return await ask(self.http, url, self.key | {"partnerid": owner, "username": "somebody"} | change)

    async def accepted(self, path: str, owner: str, *, query: str = "") -> str:
        """The request id of a submit that was accepted."""
        return str((await self.submit(path, owner, query=query)).result["requestid"])

    async def status(self, request_id: str, query: str = "") -> Reply:
        return await ask(self.http, f"{self.stack.gateway}/v2/datasets/requests/status/{request_id}{query}", self.key)

    async def page(self, owner: str, query: str = "") -> Reply:
        return await ask(self.http, f"{self.stack.gateway}/v2/datasets/requests/{owner}{query}", self.key)

    async def stood(self, request_id: str, within: float = PATIENCE_S) -> dict[str, Any]:
        """The status of a request once it has ended, or as it stands when the time is over."""
        deadline = time.monotonic() + within
        while True:
            result = (await self.status(request_id)).result
            if result["status"] != _IN_PROGRESS or time.monotonic() > deadline:
                return result
            await asyncio.sleep(_LOOK_AGAIN_S)

    async def archive_of(self, request_id: str, within: float = PATIENCE_S) -> bytes:
        """The download of a request that must complete."""
        result = await self.stood(request_id, within)
        assert result["status"] == "complete", result
        async with self.http.get(URL(result["downloadurl"], encoded=True)) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.read()

    async def download(self, path: str, owner: str, **change: object) -> Reply:
        """POST /v1/datasets/{path}: the zip itself. The caller does not say whose resource it is."""
        return await ask(
            self.http, f"{self.stack.gateway}/v1/datasets/{path.format(resource_of(owner))}", self.key | change
        )


@dataclass(frozen=True, slots=True)
class Callers:
    """Makes callers; each comes from another loopback address, so that none pays for another's calls."""

    stack: Stack
    closing: AsyncExitStack
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    async def session(self) -> aiohttp.ClientSession:
        """Connections from an address that nobody else has."""
        number = next(self.numbers)
        connector = aiohttp.TCPConnector(local_addr=(f"127.77.{number // 250}.{number % 250 + 1}", 0), limit=0)
        session = aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=60))
        return await self.closing.enter_async_context(session)

    async def new(self, *owners: str) -> Caller:
        """A caller who may read the resources of these partners or channels."""
        http, name = await self.session(), f"client-{uuid4().hex[:12]}"
        reply = await ask(http, f"{self.stack.gateway}/v1/client", {"clientName": name, "licenseKeyName": KEY_NAME})
        caller = Caller(http, self.stack, name, reply.result["licenseKey"])
        await caller.may_read(*owners)
        return caller


def new_owner(kind: str = "channel") -> str:
    """The id of a partner or channel that nobody else has."""
    return f"org.example.{kind}.{uuid4().hex[:12]}"
