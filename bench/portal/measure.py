"""The start page of a partner with twenty grants, of whom each day of two months is built, asked for one by one."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import TYPE_CHECKING, Final

import aiohttp
import orjson
from pydantic import SecretStr

from bench.bars import at_most
from bench.errors import BenchError
from bench.progress import report_progress
from deploy.local.s3_settings import s3_settings
from deploy.local.stack import PROJECT, Stack, start_stack, stop_stack
from exhaust.domain.object_keys import day_summary_key
from exhaust.postgres.database import open_database
from exhaust.postgres.grants import Grant, GrantStore
from exhaust.s3.store import open_object_store
from services.gateway.portal.strips import DAYS
from telemetry.resource_ids import resource_id

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from datetime import date

    from bench.bars import Bar
    from exhaust.s3.store import ObjectStore

FOLDER: Final = PROJECT / ".local" / "bench-portal"
DATASET: Final = "eks-consumption-raw"
GRANTS: Final = 20
PAGES: Final = 50
MOST_MS: Final = 100.0
_OWNERS: Final = tuple(f"org.example.partner-{number:02}" for number in range(GRANTS))
_SETTINGS: Final = {
    "EXHAUST_HOLDER_CALLS_PER_MINUTE": "100000000",
    "EXHAUST_ADDRESS_CALLS_PER_MINUTE": "100000000",
}
_SEEN: Final = b'<li class="ready'
_ALL: Final = GRANTS * (DAYS - 1)  # without today
_MOST_FIRST_PAGES: Final = 10
_WRITES_AT_ONCE: Final = 16


@dataclass(frozen=True, slots=True)
class Visitor:
    """A browser that has signed in."""

    http: aiohttp.ClientSession
    address: str

    async def load(self) -> tuple[float, int]:
        """Load the start page, and return its milliseconds and how many days it shows as ready."""
        started = time.perf_counter()
        async with self.http.get(self.address) as answer:
            text = await answer.read()
        return (time.perf_counter() - started) * 1000, text.count(_SEEN)


async def measure_pages(visitor: Visitor) -> Sequence[Bar]:
    """Load the page until it shows every day, and then often, and return how long it takes then.

    Raises:
        BenchError: it does not show every day in the end.
    """
    for _ in range(_MOST_FIRST_PAGES):
        milliseconds, shown = await visitor.load()
        report_progress(f"a page that reads new summaries took {milliseconds:.0f} ms, and showed {shown} days")
        if shown == _ALL:
            break
    pages = [await visitor.load() for _ in range(PAGES)]
    if any(shown != _ALL for _, shown in pages):
        raise BenchError(f"pages show {min(shown for _, shown in pages)} of {_ALL} days")
    took = sorted(milliseconds for milliseconds, _ in pages)
    what = f"start page, {DAYS} days of {GRANTS} grants"
    late = took[int(PAGES * 0.95)]
    return [at_most(f"{what}: median of {PAGES} (p95 {late:.0f} ms)", median(took), MOST_MS, "ms")]


@asynccontextmanager
async def open_portal() -> AsyncIterator[Visitor]:
    """Start the stack anew and sign in, and stop it at the end of the block."""
    stop_stack(FOLDER)
    shutil.rmtree(FOLDER, ignore_errors=True)
    os.environ.update(_SETTINGS)
    stack = await asyncio.to_thread(start_stack, FOLDER, stop_at_exit=True)
    try:
        async with (
            open_object_store(s3_settings(stack.s3)) as objects,
            aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as http,
        ):
            await _fill(objects, stack)
            yield await _signed_in(http, stack)
    finally:
        await asyncio.to_thread(stop_stack, FOLDER)


async def _fill(objects: ObjectStore, stack: Stack) -> None:
    """Write the summary of every day of every partner, as the aggregator does."""
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    slots = asyncio.Semaphore(_WRITES_AT_ONCE)

    async def write(owner: str, day: date) -> None:
        summary = {"tags": [], "events": 1200, "bytes": 84_512, "size": 9000, "sources": [{}, {}]}
        async with slots:
            key = day_summary_key(DATASET, resource_id(owner), day, "00ff")
            await objects.put(stack.s3.exhaust_bucket, key, orjson.dumps(summary))

    async with asyncio.TaskGroup() as group:
        for owner in _OWNERS:
            for before in range(DAYS):
                group.create_task(write(owner, yesterday - timedelta(days=before)))


async def _signed_in(http: aiohttp.ClientSession, stack: Stack) -> Visitor:
    body = {"request": {"clientName": "bench", "licenseKeyName": "portal"}}
    async with http.post(f"{stack.gateway}/v1/client", json=body) as answer:
        license_key = str((await answer.json())["result"]["licenseKey"])
    async with open_database(SecretStr(stack.postgres), pool_size=2) as database:
        for owner in _OWNERS:
            grant = Grant("bench", "portal", resource_id(owner), owner=owner)
            await GrantStore(database).add(grant, actor="operator/bench")
    address = f"{stack.gateway}/portal"
    headers = {"Sec-Fetch-Site": "same-origin"}
    async with http.post(
        f"{address}/sign-in", data={"licensekey": license_key}, headers=headers, allow_redirects=False
    ) as answer:
        if answer.headers.get("Location") != "/portal":
            raise BenchError(f"signing in was answered with {answer.status}")
    return Visitor(http, address)
