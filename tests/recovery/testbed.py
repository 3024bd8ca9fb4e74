"""A stack of its own with two aggregators and two gateways, telemetry, and a partner."""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import shutil
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

import aiohttp
from pydantic import SecretStr

from deploy.local.folder import Folder
from deploy.local.s3_settings import s3_settings
from deploy.local.stack import Stack, read_stack, start_stack, stop_stack
from exhaust.postgres.database import Database, open_database
from exhaust.s3.store import ObjectStore, open_object_store
from telemetry.generator import GeneratorPlan, generate
from tests.conftest import ROOT
from tests.recovery.logs import WARNINGS, Log
from tests.support.gateway_process import ServiceProcess
from tests.support.partner import Partner

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

FOLDER: Final = ROOT / ".local" / "test-recovery"
SERVICES: Final = ("gateway", "aggregator", "status")
OTHERS: Final = ("gateway", "aggregator")
PLAN: Final = GeneratorPlan(
    seed=22,
    days=tuple(date(2026, 9, 1) + timedelta(days=number) for number in range(10)),
    channels=2,
    partners=2,
    tags=1,
    events_per_day=3000,
    objects_per_day=2,
)
OWNER, OTHER_OWNER = PLAN.channel_ids
WITHIN_S: Final = 180.0
# Limits of one caller are not what is looked at; everything else is as `make up` has it.
_SETTINGS: Final = {
    "EXHAUST_REGISTRATIONS_PER_HOUR": "1000000",
    "EXHAUST_HOLDER_CALLS_PER_MINUTE": "1000000",
    "EXHAUST_ADDRESS_CALLS_PER_MINUTE": "1000000",
    "EXHAUST_MAX_OPEN_REQUESTS_PER_PARTNER": "100000",
    "EXHAUST_MAX_IN_FLIGHT_PER_PARTNER": "20",
    "EXHAUST_MAX_DAYS_BUILT_PER_KEY": "1000000",
}


@dataclass(slots=True)
class Testbed:
    """The stack, and all that is looked at.

    Attributes:
        others: a second gateway and a second aggregator.
        logs: of each process, by its name.
    """

    http: aiohttp.ClientSession
    database: Database
    objects: ObjectStore
    partner: Partner
    others: dict[str, ServiceProcess] = field(default_factory=dict)
    logs: dict[str, Log] = field(default_factory=dict)

    @property
    def stack(self) -> Stack:
        return read_stack(FOLDER)

    def internal(self, name: str) -> str:
        """The address of a process's health and metrics."""
        if name.endswith("-2"):
            other = self.others[name]
            return f"http://127.0.0.1:{other.internal_port if name.startswith('gateway') else other.port}"
        address: str = getattr(self.stack, f"{name}_internal")
        return address

    async def is_ready(self, name: str) -> bool:
        """True when a process says so."""
        try:
            async with self.http.get(f"{self.internal(name)}/health/ready", timeout=_PATIENCE) as answer:
                return answer.status == 200
        except (aiohttp.ClientError, TimeoutError):
            return False

    async def metric(self, name: str, metric: str) -> float:
        """The sum of a metric of a process, over all labels that the text leaves open."""
        async with self.http.get(f"{self.internal(name)}/metrics") as answer:
            lines = (await answer.text()).splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if re.match(rf"{re.escape(metric)}[ {{,}}]", line))

    async def restart(self, *, services: bool = True) -> None:
        """Start what has ended of the stack."""
        await asyncio.to_thread(start_stack, FOLDER, services=services, stop_at_exit=True)

    def mark_logs(self) -> None:
        """Count the lines of all logs from here."""
        for log in self.logs.values():
            log.mark()

    def log_lines(self) -> str:
        """How many lines each process has written since the mark, and how many of them warn, as text."""
        counts = {name: (len(log.lines()), log.events(*WARNINGS).total()) for name, log in self.logs.items()}
        return ", ".join(f"{name} {lines} ({warnings})" for name, (lines, warnings) in counts.items())

    async def states(self, requests: list[str]) -> dict[str, int]:
        """How many of these requests are in each state."""
        rows = await self.database.fetch(
            "SELECT state::text, count(*) AS number FROM requests WHERE request_id = ANY($1::uuid[]) GROUP BY state",
            requests,
        )
        return {row["state"]: row["number"] for row in rows}


_PATIENCE: Final = aiohttp.ClientTimeout(total=6)


async def until(condition: Callable[[], Awaitable[bool]], within: float = WITHIN_S) -> float:
    """Wait until a condition holds, and return the seconds that took.

    Raises:
        TimeoutError: it does not in time.
    """
    began = time.monotonic()
    async with asyncio.timeout(within):
        for pause in itertools.repeat(0.1):
            if await condition():
                break
            await asyncio.sleep(pause)
    return time.monotonic() - began


def start_tied() -> Stack:
    """Start the stack; it stops when this process ends."""
    return start_stack(FOLDER, stop_at_exit=True)


@asynccontextmanager
async def open_testbed(
    *, others: Sequence[str] = OTHERS, start: Callable[[], Stack] = start_tied, **settings: str
) -> AsyncIterator[Testbed]:
    """Start the stack anew, and stop it at the end of the block.

    Args:
        others: services of which a second one runs.
        start: starts the stack; by default it stops when this process ends, and no other process can start what ended.
        settings: variables that are not those of `make up`.
    """
    await asyncio.to_thread(stop_stack, FOLDER)
    shutil.rmtree(FOLDER, ignore_errors=True)
    os.environ.update(_SETTINGS | settings)
    async with AsyncExitStack() as closing:
        closing.push_async_callback(asyncio.to_thread, stop_stack, FOLDER)
        stack = await asyncio.to_thread(start)
        http = await closing.enter_async_context(
            aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=60), connector=aiohttp.TCPConnector(limit=0, force_close=True)
            )
        )
        database = await closing.enter_async_context(open_database(SecretStr(stack.postgres), pool_size=2))
        objects = await closing.enter_async_context(open_object_store(s3_settings(stack.s3)))
        await asyncio.gather(*(objects.put(stack.s3.raw_bucket, f"raw/{raw.name}", raw.data) for raw in generate(PLAN)))
        partner = await Partner.register(http, stack)
        for owner in PLAN.channel_ids:
            await partner.grant(owner)
        bed = Testbed(http, database, objects, partner)
        logs = Folder(FOLDER)
        bed.logs = {name: Log(logs.log(name)) for name in SERVICES}
        for name in others:
            other = ServiceProcess(FOLDER, logs.log(f"{name}-2"), name=name)
            closing.push_async_callback(other.kill)
            await other.start(http)
            bed.others[f"{name}-2"], bed.logs[f"{name}-2"] = other, Log(other.log)
        yield bed
