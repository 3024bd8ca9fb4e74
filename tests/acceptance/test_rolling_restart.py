"""SIGTERM: a gateway says that it is not ready before it refuses anybody, and ends in time whatever hangs."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import aiohttp
import pytest

from tests.acceptance.conftest import FIRST, FOLDER, PLAN
from tests.support.front import open_front
from tests.support.frozen import frozen
from tests.support.gateway_process import ServiceProcess
from tests.support.partner import resource_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from deploy.local.stack import Stack
    from tests.support.partner import Partner

OWNER = PLAN.channel_ids[0]
SUBMIT = f"v2/datasets/eks-consumption-raw/{resource_of(OWNER)}/{FIRST}/{FIRST}"
CALLERS = 6
EXIT_WITHIN_S = 45
DRAIN_DELAY_S = 1
ACCEPTED = 202


@dataclass(slots=True)
class Calls:
    """What callers got: statuses, or the kinds of errors of their connections."""

    seen: Counter[int | str] = field(default_factory=Counter)
    last_of_connection: int = 0

    async def make(self, partner: Partner, base: str) -> None:
        """Submit and ask for the status, again and again, over connections that are kept."""
        status_of = None
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as http:
            while True:
                if status_of is None:
                    path, request = SUBMIT, {"partnerid": OWNER, "username": "somebody"}
                else:
                    path, request = f"v2/datasets/requests/status/{status_of}", {}
                body = {"request": request | {"licenseKey": partner.license_key}}
                try:
                    async with http.post(f"{base}/{path}", json=body) as answer:
                        self.seen[answer.status] += 1
                        self.last_of_connection += answer.headers.get("Connection") == "close"
                        submitted = await answer.json() if answer.status == ACCEPTED else {"result": {}}
                        status_of = submitted["result"].get("requestid")
                except (aiohttp.ClientError, TimeoutError) as error:
                    self.seen[type(error).__name__] += 1


@asynccontextmanager
async def calling(partner: Partner, base: str) -> AsyncIterator[Calls]:
    """Callers at work, while the block runs."""
    calls = Calls()
    callers = [asyncio.create_task(calls.make(partner, base)) for _ in range(CALLERS)]
    try:
        yield calls
        assert not [caller for caller in callers if caller.done()]
    finally:
        for caller in callers:
            caller.cancel()
        await asyncio.gather(*callers, return_exceptions=True)


async def more_than(calls: Calls, number: int) -> None:
    """Wait until so many further calls were answered."""
    wanted = calls.seen.total() + number
    async with asyncio.timeout(60):
        while True:
            if calls.seen.total() >= wanted:
                return
            await asyncio.sleep(0.02)


async def test_a_rolling_restart_behind_a_front_refuses_nobody(
    partner: Partner, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    await partner.grant(OWNER)
    settings = {"EXHAUST_DRAIN_DELAY": f"PT{DRAIN_DELAY_S}S", "EXHAUST_HOLDER_CALLS_PER_MINUTE": "1000000000"}
    gateways = [ServiceProcess(FOLDER, tmp_path / f"{name}.log", settings) for name in ("one", "other")]
    async with AsyncExitStack() as stack:
        for gateway in gateways:
            stack.push_async_callback(gateway.kill)
            await gateway.start(http)
        front = await stack.enter_async_context(open_front([gateway.port for gateway in gateways]))
        calls = await stack.enter_async_context(calling(partner, f"http://127.0.0.1:{front.port}"))
        for gateway in [*gateways, gateways[0]]:
            await more_than(calls, 50)
            started = time.monotonic()
            assert await gateway.stop() == 0
            assert DRAIN_DELAY_S <= time.monotonic() - started < EXIT_WITHIN_S
            await gateway.start(http)
            await front.sees(gateway.port)
        await more_than(calls, 50)
    assert front.refused == []
    assert set(calls.seen) == {200, 202}
    assert calls.last_of_connection >= 1


@pytest.mark.parametrize("server", ["kafka", "postgres", "seaweedfs"])
async def test_services_end_in_time_while_a_server_hangs(
    server: str, partner: Partner, stack: Stack, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    await partner.grant(OWNER)
    settings = {"EXHAUST_DRAIN_DELAY": f"PT{DRAIN_DELAY_S}S"}
    gateway = ServiceProcess(FOLDER, tmp_path / "gateway.log", settings)
    status = ServiceProcess(FOLDER, tmp_path / "status.log", settings, name="status")
    async with AsyncExitStack() as running:
        for service in (gateway, status):
            running.push_async_callback(service.kill)
            await service.start(http)
        calls = await running.enter_async_context(calling(partner, f"http://127.0.0.1:{gateway.port}"))
        await more_than(calls, 20)
        with frozen(stack.processes[server]):
            async with asyncio.timeout(EXIT_WITHIN_S):
                assert set(await asyncio.gather(gateway.stop(), status.stop())) == {0}
