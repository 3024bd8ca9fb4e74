"""The faults of the runbooks. Each is there while its block runs, and hands the page's commands what they ask for."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from aiokafka import AIOKafkaProducer
from pydantic import SecretStr

from deploy.local.stack import read_stack
from exhaust.postgres.database import open_database
from schemas.events import TOPIC_COMPLETIONS, TOPIC_DEAD_LETTERS, TOPIC_REQUESTS
from telemetry.generator import generate
from tests.attacks.topics import kafka_options
from tests.conftest import ROOT
from tests.recovery.data import set_back
from tests.recovery.load import Load, load
from tests.recovery.testbed import FOLDER, OWNER, PLAN, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from deploy.local.stack import Stack
    from exhaust.postgres.database import Database
    from tests.recovery.testbed import Testbed

    Variables = dict[str, str]

REQUESTS: Final = 5
FLOODS_WITH: Final = 60
FLOODS_EVERY_S: Final = 0.5
LARGE: Final = replace(
    PLAN, days=tuple(date(2026, 8, 1) + timedelta(days=number) for number in range(10)), events_per_day=20_000
)
OLD: Final = timedelta(days=26)  # so is no letter that is told of in time
_LOCKED_FOR_S, _FREE_FOR_S = 3.0, 0.3
_NOBODYS: Final = "[[dataset]]\nid = 'another'\nprefix = 'another/'\nlayout = 'shared'\nretention_days = 7\n"


def start() -> Stack:
    """Start what does not run as `make up` does: by a process that ends, so that another can start what ends later."""
    subprocess.run((sys.executable, "-m", "deploy.local", "up", "--folder", FOLDER), cwd=ROOT, check=True)
    return read_stack(FOLDER)


async def some_requests(bed: Testbed, number: int = REQUESTS) -> Load:
    made = Load(bed)
    for _ in range(number):
        await made.submit()
    return made


def killed(bed: Testbed, name: str, by: signal.Signals = signal.SIGKILL) -> None:
    os.kill(bed.stack.processes[name], by)


@asynccontextmanager
async def no_aggregator(bed: Testbed) -> AsyncIterator[Variables]:
    """The only aggregator is killed, and requests come."""
    killed(bed, "aggregator")
    made = await some_requests(bed)
    yield {}
    await made.all_complete()


@asynccontextmanager
async def no_store(bed: Testbed) -> AsyncIterator[Variables]:
    """The store is killed, and requests come: the aggregator is there, and can do nothing."""
    killed(bed, "seaweedfs")
    made = await some_requests(bed)
    yield {}
    await made.all_complete()


@asynccontextmanager
async def offsets_set_back(bed: Testbed) -> AsyncIterator[Variables]:
    """Both groups of the aggregators are set back to the beginning while no aggregator runs."""
    made = await some_requests(bed)
    await made.all_complete()
    killed(bed, "aggregator", signal.SIGTERM)
    await until(lambda: _nobody_is_in(bed))
    await set_back(bed)
    yield {}
    await made.all_complete()


async def _nobody_is_in(bed: Testbed) -> bool:
    async with bed.http.get(f"{bed.stack.console}/metrics") as answer:
        lines = (await answer.text()).splitlines()
    members = [line for line in lines if line.startswith('exhaust_group_members{group="aggregator-')]
    return len(members) == 2 and all(line.endswith(" 0.0") for line in members)


@asynccontextmanager
async def more_than_can_be_done(bed: Testbed) -> AsyncIterator[Variables]:
    """A partner asks for much more than the only aggregator builds, and again for whatever has ended."""
    for raw in generate(LARGE):
        await bed.objects.put(bed.stack.s3.raw_bucket, f"raw/{raw.name}", raw.data)
    flooding = asyncio.create_task(_flood(bed))
    try:
        yield {"PARTNER": OWNER}
    finally:
        flooding.cancel()
        await asyncio.gather(flooding, return_exceptions=True)


async def _flood(bed: Testbed) -> None:
    made = Load(bed)
    while True:
        states = await bed.states(made.accepted)
        still = sum(number for state, number in states.items() if state in {"submitted", "inprogress"})
        for _ in range(FLOODS_WITH - still):
            await made.submit(LARGE.days[0], LARGE.days[-1])
        await asyncio.sleep(FLOODS_EVERY_S)


@asynccontextmanager
async def no_console(bed: Testbed) -> AsyncIterator[Variables]:
    """The only console is killed."""
    killed(bed, "console")
    yield {}


@asynccontextmanager
async def wrong_catalogue(bed: Testbed) -> AsyncIterator[Variables]:
    """The aggregator is started anew with a setting that is wrong: a catalogue without the dataset."""
    catalogue = FOLDER / "catalogue.toml"
    catalogue.write_text(_NOBODYS)
    os.environ["EXHAUST_CATALOGUE"] = str(catalogue)
    killed(bed, "aggregator")
    await asyncio.to_thread(start)
    del os.environ["EXHAUST_CATALOGUE"]
    made = await some_requests(bed)
    yield {"CODE": "INTERNAL_ERROR"}
    await made.all_complete()


@asynccontextmanager
async def damaged_object(bed: Testbed) -> AsyncIterator[Variables]:
    """A raw object is cut, and six requests ask for its day."""
    bucket, day = bed.stack.s3.raw_bucket, PLAN.days[2]
    found = [entry.key async for entry in bed.objects.list(bucket, f"raw/{day}")]
    whole = await bed.objects.get(bucket, found[0])
    await bed.objects.put(bucket, found[0], whole[: len(whole) // 2])
    kept = FOLDER / "whole.json.gz"
    kept.write_bytes(whole)
    made = Load(bed)
    for _ in range(6):
        await made.submit(day, day)
    yield {"OBJECT": found[0], "FILE": str(kept)}
    await made.all_complete()


@asynccontextmanager
async def no_events(bed: Testbed) -> AsyncIterator[Variables]:
    """Somebody sends records that are no events."""
    async with AIOKafkaProducer(**kafka_options(bed.stack)) as producer:
        for number in range(REQUESTS):
            await producer.send_and_wait(TOPIC_REQUESTS, b"{}", str(number).encode(), headers=_headers("/org.example"))
    yield {"SOURCE": "/org.example"}


@asynccontextmanager
async def old_letter(bed: Testbed) -> AsyncIterator[Variables]:
    """There is a dead letter of another service that is 26 days old."""
    told = {"dl_topic": TOPIC_COMPLETIONS, "dl_partition": "0", "dl_offset": "7", "dl_group": "status"}
    told |= {"dl_code": "UNKNOWN_REQUEST", "dl_error": "no such request"}
    headers = [*_headers("/org.example/spark"), *((name, value.encode()) for name, value in told.items())]
    at = int((time.time() - OLD.total_seconds()) * 1000)
    async with AIOKafkaProducer(**kafka_options(bed.stack)) as producer:
        await producer.send_and_wait(
            TOPIC_DEAD_LETTERS, b'{"requestid": "none"}', b"key", headers=headers, timestamp_ms=at
        )
    yield {"CODE": "UNKNOWN_REQUEST", "SOURCE": "/org.example/spark"}


def _headers(source: str) -> list[tuple[str, bytes]]:
    return [("ce_source", source.encode()), ("ce_id", uuid4().hex.encode())]


@asynccontextmanager
async def no_database(bed: Testbed) -> AsyncIterator[Variables]:
    """PostgreSQL stops at once while a partner submits."""
    async with load(bed):
        await asyncio.sleep(3)
        killed(bed, "postgres", signal.SIGQUIT)
        yield {}


@asynccontextmanager
async def locked_outbox(bed: Testbed) -> AsyncIterator[Variables]:
    """A session of somebody holds a lock that every submit waits for, again and again, while a partner submits."""
    async with load(bed), open_database(SecretStr(bed.stack.postgres), pool_size=1) as somebody:
        locking = asyncio.create_task(_lock(somebody))
        try:
            yield {}
        finally:
            locking.cancel()
            await asyncio.gather(locking, return_exceptions=True)


async def _lock(database: Database) -> None:
    while True:
        async with database.transaction() as connection:
            await connection.execute("LOCK TABLE outbox IN ACCESS EXCLUSIVE MODE")
            await asyncio.sleep(_LOCKED_FOR_S)
        await asyncio.sleep(_FREE_FOR_S)
