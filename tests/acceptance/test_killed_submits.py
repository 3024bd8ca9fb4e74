"""A gateway that is killed at any step of a submit: its caller submits again with the same key, and has one request."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING
from uuid import uuid4

import aiohttp
import pytest

from exhaust.process.failpoints import CRASH_EXIT_CODE, FAILPOINTS, VARIABLE
from tests.acceptance.conftest import FIRST, FOLDER, PLAN
from tests.support.gateway_process import ServiceProcess
from tests.support.partner import Partner, resource_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from exhaust.postgres.database import Database

OWNER = PLAN.channel_ids[1]
STEPS = [name for name in FAILPOINTS if name.startswith(("idempotency.", "submit.", "relay."))]
MOST_TRIES = 20
TIMEOUT_S = 60
MINE = """
SELECT request_id::text, state::text FROM requests r JOIN data_exhaust_users u ON u.id = r.user_id
WHERE u.client_name = $1 AND r.tags = $2
"""
SUBMITS = "SELECT count(*) AS submits FROM audit WHERE action = 'submit' AND subject = 'request/' || $1"


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[ServiceProcess]:
    """One more gateway of the stack. Its relay works when it is woken by a submit."""
    settings = {"EXHAUST_RELAY_INTERVAL": "PT5M", "EXHAUST_RELEASE_TIMEOUT": "PT1S"}
    made = ServiceProcess(FOLDER, tmp_path / "gateway.log", settings)
    yield made
    await made.kill()


async def submit(partner: Partner, gateway: ServiceProcess, key: str) -> str | None:
    """Submit what only this key asks for; return the request's id, or None when no answer came."""
    url = f"http://127.0.0.1:{gateway.port}/v2/datasets/eks-consumption-raw/{resource_of(OWNER)}/{FIRST}/{FIRST}"
    body = {"request": {"licenseKey": partner.license_key, "partnerid": OWNER, "username": "somebody"}}
    try:
        async with partner.http.post(url, json=body, headers={"Idempotency-Key": key}, params={"tags": key}) as answer:
            assert answer.status == 202, await answer.text()
            return str((await answer.json())["result"]["requestid"])
    except aiohttp.ClientConnectionError:
        return None


async def ended(database: Database, partner: Partner, key: str) -> list[str]:
    """The requests that a key made, once they have ended: an identical one in progress would hide a second."""
    async with asyncio.timeout(TIMEOUT_S):
        for pause in itertools.repeat(0.05):
            rows = await database.fetch(MINE, partner.name, [key])
            if all(row["state"] == "complete" for row in rows):
                return [row["request_id"] for row in rows]
            await asyncio.sleep(pause)
    raise AssertionError("no end")


async def killed_submit(partner: Partner, gateway: ServiceProcess) -> list[str]:
    """Submit until the gateway has died of it; return the keys. The stack's own gateway may release a request first."""
    keys: list[str] = []
    for _ in range(MOST_TRIES):
        keys.append(uuid4().hex)
        await submit(partner, gateway, keys[-1])
        try:
            code = await asyncio.wait_for(asyncio.shield(gateway.process.wait()), 2)
        except TimeoutError:
            continue
        assert code == CRASH_EXIT_CODE
        return keys
    raise AssertionError("the failpoint was never reached")


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.usefixtures("raw_days")
async def test_a_submit_that_is_repeated_after_a_kill_makes_one_request(
    partner: Partner, owner_database: Database, http: aiohttp.ClientSession, gateway: ServiceProcess, step: str
) -> None:
    await partner.grant(OWNER)
    gateway.settings[VARIABLE] = step
    await gateway.start(http)
    keys = await killed_submit(partner, gateway)
    made = {key: await ended(owner_database, partner, key) for key in keys}
    del gateway.settings[VARIABLE]
    await gateway.start(http)
    for key in keys:
        assert len(made[key]) <= 1
        first = await submit(partner, gateway, key)
        assert first is not None
        assert made[key] in ([], [first])
        assert await ended(owner_database, partner, key) == [first]
        # Once more, now that it has ended.
        assert await submit(partner, gateway, key) == first
        assert await ended(owner_database, partner, key) == [first]
        audited = await owner_database.fetch_one(SUBMITS, first)
        assert audited is not None
        assert audited["submits"] == 1
