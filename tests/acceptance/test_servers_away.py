"""A server that is away longer than work is retried fails nothing: work waits for it, and goes on by itself."""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import signal
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import pytest

from deploy.local.s3_settings import s3_settings
from deploy.local.stack import Stack, read_stack, start_stack, stop_stack
from exhaust.s3.store import open_object_store
from telemetry.generator import generate
from tests.acceptance.conftest import FIRST, NO_LIMITS, PLAN
from tests.conftest import ROOT
from tests.support.frozen import family, frozen
from tests.support.partner import Partner, resource_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    import aiohttp

FOLDER = ROOT / ".local" / "test-servers-away"
IMPATIENT = NO_LIMITS | {"EXHAUST_RETRY_FOR": "PT1S", "EXHAUST_MAX_IN_FLIGHT_PER_PARTNER": "12"}
# Longer than all rounds and pauses of the retries take with that setting.
AWAY_S = 8.0
LIMIT_S = 60.0
BACK_WITHIN_S = 45.0  # 15 s until work flows, the work itself, and a loaded machine
REQUESTS = 12
OWNERS = (*PLAN.channel_ids, *PLAN.partner_ids)


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    stop_stack(FOLDER)
    shutil.rmtree(FOLDER, ignore_errors=True)
    with pytest.MonkeyPatch.context() as environment:
        for name, value in IMPATIENT.items():
            environment.setenv(name, value)
        yield start_stack(FOLDER, stop_at_exit=True)
        stop_stack(FOLDER)


@pytest.fixture
async def partner(http: aiohttp.ClientSession, stack: Stack) -> Partner:
    async with open_object_store(s3_settings(stack.s3)) as objects:
        for raw in generate(PLAN):
            await objects.put(stack.s3.raw_bucket, f"raw/{raw.name}", raw.data)
    partner = await Partner.register(http, stack)
    for owner in OWNERS:
        await partner.grant(owner)
    return partner


async def metrics(http: aiohttp.ClientSession, listener: str) -> list[str]:
    async with http.get(f"{listener}/metrics") as answer:
        return (await answer.text()).splitlines()


async def dead_letters(http: aiohttp.ClientSession, stack: Stack) -> float:
    lines = [line for each in (stack.aggregator_internal, stack.status_internal) for line in await metrics(http, each)]
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith("exhaust_dead_letters_total"))


async def until_away(http: aiohttp.ClientSession, listener: str, server: str) -> None:
    """Returns when work of a service waits for a server."""
    async with asyncio.timeout(LIMIT_S):
        for pause in itertools.repeat(0.1):
            if f'exhaust_dependency_away{{dependency="{server}"}} 1.0' in await metrics(http, listener):
                return
            await asyncio.sleep(pause)


async def listings(http: aiohttp.ClientSession, stack: Stack) -> float:
    """How often the aggregator has listed raw objects, as it does when it takes up a day."""
    name = 'exhaust_dependency_seconds_count{dependency="s3",operation="list"}'
    lines = [line for line in await metrics(http, stack.aggregator_internal) if line.startswith(name)]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


@contextmanager
def standing_scans(stack: Stack) -> Iterator[None]:
    """Let the aggregator take up days and finish none while the block runs, so that work is in hand at its end."""
    with ExitStack() as stopped:
        for pid in family(stack.processes["aggregator"])[1:]:
            stopped.enter_context(frozen(pid))
        yield


@pytest.mark.parametrize(
    ("process", "server", "fault"),
    [
        ("kafka", "kafka", signal.SIGKILL),
        ("postgres", "postgres", signal.SIGKILL),
        ("seaweedfs", "s3", signal.SIGKILL),
        # A frozen PostgreSQL is one whose every process is, and a call to a frozen store ends after minutes.
        ("kafka", "kafka", signal.SIGSTOP),
    ],
)
async def test_nothing_fails_while_a_server_is_away_for_long(
    partner: Partner, http: aiohttp.ClientSession, process: str, server: str, fault: signal.Signals
) -> None:
    stack = read_stack(FOLDER)
    requests = []
    before = await listings(http, stack)
    with standing_scans(stack):
        for owner, last in itertools.product(OWNERS, PLAN.days[-2:]):
            path = f"eks-consumption-raw/{resource_of(owner)}/{FIRST}/{last}?tags={process}-{fault.name}"
            requests.append((await partner.submit(path, partner_id=owner)).result["requestid"])
        assert len(requests) == REQUESTS
        async with asyncio.timeout(LIMIT_S):
            for pause in itertools.repeat(0.1):
                if await listings(http, stack) > before:
                    break
                await asyncio.sleep(pause)
        os.kill(stack.processes[process], fault)
    try:
        await until_away(http, stack.status_internal if server == "postgres" else stack.aggregator_internal, server)
        await asyncio.sleep(AWAY_S)
    finally:
        if fault is signal.SIGSTOP:
            os.kill(stack.processes[process], signal.SIGCONT)
        else:
            await asyncio.to_thread(start_stack, FOLDER, services=False, stop_at_exit=True)
    back_at = time.monotonic()
    results = await asyncio.gather(*(partner.finished(request) for request in requests))
    took = time.monotonic() - back_at
    print(f"\n{process} {fault.name}: {took:.1f} s from its return to the last of {REQUESTS} requests")
    assert [result["status"] for result in results] == ["complete"] * REQUESTS
    assert await dead_letters(http, stack) == 0
    assert took < BACK_WITHIN_S
