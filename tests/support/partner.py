"""A partner as the outside sees one: talks to the public API only, with documented bodies. And an operator's grant."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from pydantic import SecretStr

from exhaust.postgres.database import open_database
from exhaust.postgres.grants import Grant, GrantStore

if TYPE_CHECKING:
    import aiohttp

    from deploy.local.stack import Stack

KEY_NAME = "dashboard"


def resource_of(owner: str) -> str:
    """The documented hash, worked out here once more."""
    return hashlib.sha1(owner.encode(), usedforsecurity=False).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Reply:
    """What the gateway answered."""

    status: int
    body: dict[str, Any]
    headers: dict[str, str]

    @property
    def error(self) -> str:
        code: str = self.body["params"]["err"]
        return code

    @property
    def result(self) -> dict[str, Any]:
        result: dict[str, Any] = self.body["result"]
        return result


@dataclass(frozen=True, slots=True)
class Partner:
    """A registered client with a license key."""

    http: aiohttp.ClientSession
    stack: Stack
    name: str
    license_key: str

    @classmethod
    async def register(cls, http: aiohttp.ClientSession, stack: Stack) -> Partner:
        name = f"client-{uuid4().hex[:12]}"
        reply = await post(http, f"{stack.gateway}/v1/client", {"clientName": name, "licenseKeyName": KEY_NAME})
        assert reply.status == 200, reply
        return cls(http, stack, name, reply.result["licenseKey"])

    async def grant(self, owner: str) -> None:
        """What an operator does with `exhaustctl grant`: lets the key read the resource of a partner or channel."""
        async with open_database(SecretStr(self.stack.postgres), pool_size=1) as database:
            await GrantStore(database).add(Grant(self.name, KEY_NAME, resource_of(owner)), actor="operator/tests")

    async def submit(self, path: str, *, partner_id: str, **change: Any) -> Reply:
        body = {"licenseKey": self.license_key, "partnerid": partner_id, "username": "somebody"} | change
        return await post(self.http, f"{self.stack.gateway}/v2/datasets/{path}", body)

    async def status(self, request_id: str, *, wait: int = 0) -> Reply:
        url = f"{self.stack.gateway}/v2/datasets/requests/status/{request_id}"
        return await post(self.http, f"{url}?wait={wait}" if wait else url, {"licenseKey": self.license_key})

    async def finished(self, request_id: str, *, within: timedelta = timedelta(seconds=120)) -> dict[str, Any]:
        """The status result once it is complete or failed."""
        async with asyncio.timeout(within.total_seconds()):
            while True:
                reply = await self.status(request_id, wait=10)
                assert reply.status == 200, reply
                if reply.result["status"] != "inprogress":
                    return reply.result

    async def download(self, result: dict[str, Any]) -> bytes:
        async with self.http.get(result["downloadurl"]) as answer:
            assert answer.status == 200
            return await answer.read()


async def post(http: aiohttp.ClientSession, url: str, request: dict[str, Any]) -> Reply:
    """POST a documented envelope."""
    envelope = {
        "id": "ekstep.data_exhaust_dataset_service",
        "ver": "2.0",
        "ts": "2026-11-01T17:36:36+05:30",
        "params": {"requesterId": "", "did": "d", "key": "", "msgid": "m-1"},
        "request": request,
    }
    async with http.post(url, json=envelope) as answer:
        return Reply(answer.status, await answer.json(), dict(answer.headers))
