"""A gateway that stands still in the middle of a release does not keep the others from releasing for long."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.conftest import FIRST, FOLDER, PLAN
from tests.support.gateway_process import ServiceProcess
from tests.support.partner import resource_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import aiohttp

    from exhaust.postgres.database import Database
    from tests.support.partner import Partner

OWNER = PLAN.channel_ids[0]
SUBMIT = f"eks-consumption-raw/{resource_of(OWNER)}/{FIRST}/{FIRST}"
DEADLINE_S = 30
SHORT = {
    "EXHAUST_RELAY_INTERVAL": "PT0.05S",
    "EXHAUST_POSTGRES_IDLE_TIMEOUT": "PT2S",
    "EXHAUST_RELEASE_TIMEOUT": "PT2S",
}


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while True:
            if await condition():
                return
            await asyncio.sleep(0.05)


async def stands_still(gateway: ServiceProcess) -> bool:
    """True once the gateway has stopped itself at its failpoint."""
    stat = await asyncio.to_thread(Path(f"/proc/{gateway.process.pid}/stat").read_text)
    return stat.rpartition(")")[2].split()[0] == "T"


@pytest.fixture
async def granted(partner: Partner) -> Partner:
    await partner.grant(OWNER)
    return partner


async def submit_until_it_stands_still(gateway: ServiceProcess, granted: Partner, http: aiohttp.ClientSession) -> None:
    """Submit to a gateway until it releases one of its requests itself: whichever gateway is first gets it."""
    while not await stands_still(gateway):
        url = f"http://127.0.0.1:{gateway.port}/v2/datasets/{SUBMIT}?tags[]={asyncio.get_running_loop().time()}"
        body = {"request": {"licenseKey": granted.license_key, "partnerid": OWNER, "username": "somebody"}}
        waiting = asyncio.create_task(asyncio.wait_for(http.post(url, json=body), 1))
        await asyncio.wait([waiting])


async def test_a_lock_is_freed_for_others(granted: Partner, http: aiohttp.ClientSession, tmp_path: Path) -> None:
    failpoint = {"EXHAUST_FAILPOINTS": "relay.after_claim=pause"}
    gateway = ServiceProcess(FOLDER, tmp_path / "gateway.log", SHORT | failpoint)
    try:
        await gateway.start(http)
        async with asyncio.timeout(DEADLINE_S):
            await submit_until_it_stands_still(gateway, granted, http)
        reply = await granted.submit(SUBMIT, partner_id=OWNER)
        assert (await granted.finished(reply.result["requestid"]))["status"] == "complete"
        assert await stands_still(gateway)
    finally:
        await gateway.kill()


async def test_a_claim_passes_to_others(
    granted: Partner, http: aiohttp.ClientSession, tmp_path: Path, owner_database: Database
) -> None:
    gateway = ServiceProcess(
        FOLDER, tmp_path / "gateway.log", SHORT | {"EXHAUST_FAILPOINTS": "relay.after_publish=pause"}
    )

    async def outbox_is_empty() -> bool:
        return not await owner_database.fetch("SELECT FROM outbox")

    try:
        await gateway.start(http)
        await submit_until_it_stands_still(gateway, granted, http)
        await until(outbox_is_empty)
        assert await stands_still(gateway)
    finally:
        await gateway.kill()
