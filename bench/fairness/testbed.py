"""A stack with telemetry, and two partners on it."""

from __future__ import annotations

import asyncio
import os
import shutil
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any, Final

import aiohttp
from pydantic import SecretStr

from bench.errors import BenchError
from deploy.local.s3_settings import s3_settings
from deploy.local.stack import PROJECT, Stack, start_stack, stop_stack
from exhaust.postgres.database import Database, open_database
from exhaust.postgres.grants import Grant, GrantStore, OwnerKind
from exhaust.s3.store import open_object_store
from telemetry.generator import GeneratorPlan, generate
from telemetry.resource_ids import resource_id

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import date

FOLDER: Final = PROJECT / ".local" / "bench-fairness"
DATASET: Final = "eks-consumption-raw"
DAYS: Final = 7
EVENTS_PER_DAY: Final = 30_000  # a day takes some tenths of a second to build
SETTINGS: Final = {
    "EXHAUST_HOLDER_CALLS_PER_MINUTE": "100000000",
    "EXHAUST_ADDRESS_CALLS_PER_MINUTE": "100000000",
    "EXHAUST_MAX_OPEN_REQUESTS_PER_PARTNER": "10000",
}
_LOOK_EVERY: Final = timedelta(milliseconds=50)
_OK: Final = (200, 202)


@dataclass(frozen=True, slots=True)
class Partner:
    """A partner that submits requests, and downloads; its grant names its plain id."""

    http: aiohttp.ClientSession
    gateway: str
    owner: str
    tag: str
    license_key: str
    numbers: count[int]

    async def submit(self, first: date, last: date, *, tagged: bool = True) -> str:
        """Submit a request for these days, and return its id.

        Args:
            first: day.
            last: day.
            tagged: with tags that no other request has, so that its archives do not exist.

        Raises:
            BenchError: it was refused.
        """
        # Nothing has the second tag.
        tags = f"?tags[]={self.tag}&tags[]={self.owner}-{next(self.numbers)}" if tagged else ""
        path = f"v2/datasets/{DATASET}/{resource_id(self.owner)}/{first}/{last}{tags}"
        result = await self._call(path, partnerid=self.owner, username="bench")
        return str(result["requestid"])

    async def estimate(self, first: date, last: date, *, tagged: bool) -> dict[str, int] | None:
        """Return the seconds that a request for these days is estimated to take; None while nothing tells."""
        path = f"v2/datasets/{DATASET}/{resource_id(self.owner)}/{first}/{last}/estimate"
        tags = f"?tags[]={self.tag}" if tagged else ""
        seconds: dict[str, int] | None = (await self._call(path + tags, partnerid=self.owner))["seconds"]
        return seconds

    async def download(self, first: date, last: date) -> None:
        """Wait for the archive of these days by the hash alone, and return when its first bytes are there.

        Raises:
            BenchError: it was refused.
        """
        path = f"v1/datasets/{DATASET}/{resource_id(self.owner)}/{first}/{last}"
        async with self.http.get(f"{self.gateway}/{path}", headers={"X-API-Key": self.license_key}) as answer:
            if answer.status not in _OK:
                raise BenchError(f"{path} was answered with {answer.status}: {(await answer.text())[:300]}")

    async def finish(self, request_id: str) -> None:
        """Wait until a request is complete.

        Raises:
            BenchError: it failed.
        """
        status = ""
        while status != "complete":
            status = (await self._call(f"v2/datasets/requests/status/{request_id}?wait=30"))["status"]
            if status == "failed":
                raise BenchError(f"request {request_id} failed")

    async def status(self, request_id: str) -> dict[str, Any]:
        """Return the status of a request now."""
        return await self._call(f"v2/datasets/requests/status/{request_id}")

    async def _call(self, path: str, **request: str) -> dict[str, Any]:
        body = {"request": {"licenseKey": self.license_key} | request}
        async with self.http.post(f"{self.gateway}/{path}", json=body) as answer:
            text = await answer.text()
            if answer.status not in _OK:
                raise BenchError(f"{path} was answered with {answer.status}: {text[:300]}")
            result: dict[str, Any] = (await answer.json())["result"]
            return result


@dataclass(frozen=True, slots=True)
class Testbed:
    """The stack, its two partners, and the days that have telemetry."""

    database: Database
    flooding: Partner
    modest: Partner
    days: tuple[date, ...]

    async def end_flood(self) -> int:
        """Take back what waits for its release, wait for the rest, and return how many waited."""
        async with self.database.transaction() as connection:
            rows = await connection.fetch("DELETE FROM outbox WHERE claimed_until IS NULL RETURNING request_id")
            waited = [row["request_id"] for row in rows]
            await connection.execute("DELETE FROM requests WHERE request_id = ANY($1)", waited)
        while True:
            if not await self.database.fetch("SELECT FROM requests WHERE state IN ('submitted', 'inprogress')"):
                return len(waited)
            await asyncio.sleep(_LOOK_EVERY.total_seconds())


@asynccontextmanager
async def open_testbed(*, days: int = DAYS, events_per_day: int = EVENTS_PER_DAY) -> AsyncIterator[Testbed]:
    """Start the stack anew and fill it with so many days, and stop it at the end of the block."""
    stop_stack(FOLDER)
    shutil.rmtree(FOLDER, ignore_errors=True)
    os.environ.update(SETTINGS)
    stack = await asyncio.to_thread(start_stack, FOLDER, stop_at_exit=True)
    try:
        plan = _plan(days, events_per_day)
        await _fill(stack, plan)
        async with (
            open_database(SecretStr(stack.postgres), pool_size=2) as database,
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as http,
        ):
            flooding, modest = [
                await _partner(http, stack, database, owner, plan.tag_ids[0]) for owner in plan.partner_ids[:2]
            ]
            yield Testbed(database, flooding, modest, plan.days)
    finally:
        await asyncio.to_thread(stop_stack, FOLDER)


def _plan(days: int, events_per_day: int) -> GeneratorPlan:
    today = datetime.now(UTC).date()
    return GeneratorPlan(
        seed=1,
        days=tuple(today - timedelta(days=before) for before in range(days, 0, -1)),
        channels=3,
        partners=2,
        tags=3,
        events_per_day=events_per_day,
        objects_per_day=4,
    )


async def _fill(stack: Stack, plan: GeneratorPlan) -> None:
    async with open_object_store(s3_settings(stack.s3)) as objects:
        for made in generate(plan):
            await objects.put(stack.s3.raw_bucket, f"raw/{made.name}", made.data)


async def _partner(http: aiohttp.ClientSession, stack: Stack, database: Database, owner: str, tag: str) -> Partner:
    body = {"request": {"clientName": owner, "licenseKeyName": "bench"}}
    async with http.post(f"{stack.gateway}/v1/client", json=body) as answer:
        license_key = str((await answer.json())["result"]["licenseKey"])
    grant = Grant(owner, "bench", resource_id(owner), owner=owner, owner_kind=OwnerKind.PARTNER)
    await GrantStore(database).add(grant, actor="operator/bench")
    return Partner(http, stack.gateway, owner, tag, license_key, count())
