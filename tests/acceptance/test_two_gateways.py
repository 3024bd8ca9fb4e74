"""Two gateways before one database: what one is told, the other knows."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.conftest import FIRST, FOLDER, PLAN
from tests.support.gateway_process import another_gateway
from tests.support.partner import KEY_NAME, Partner, resource_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    import aiohttp

    from deploy.local.stack import Stack
    from exhaust.postgres.database import Database

OWNER = PLAN.channel_ids[0]
SUBMIT = f"v2/datasets/eks-consumption-raw/{resource_of(OWNER)}/{FIRST}/{FIRST}"
REVOKED_WITHIN_S = 5
AT_ONCE = 50
KEPT = """
WITH mine AS (SELECT r.* FROM requests r JOIN data_exhaust_users u ON u.id = r.user_id WHERE client_name = $1)
SELECT (SELECT count(*) FROM mine) AS requests,
       (SELECT count(*) FROM request_days JOIN mine USING (request_id)) AS days,
       (SELECT count(*) FROM audit WHERE action = 'submit' AND actor IN (SELECT 'user/' || user_id FROM mine))
           AS submits
"""


@pytest.fixture
async def second(stack: Stack, http: aiohttp.ClientSession, tmp_path: Path) -> AsyncIterator[str]:
    """The address of one more gateway of the stack."""
    assert stack.processes["gateway"]
    async with another_gateway(stack, FOLDER, tmp_path / "gateway.log", http) as seen:
        yield seen.gateway


async def submit(
    partner: Partner, gateway: str, *, path: str = SUBMIT, headers: Mapping[str, str] | None = None
) -> tuple[int, dict[str, dict[str, str]]]:
    body = {"request": {"licenseKey": partner.license_key, "partnerid": OWNER, "username": "somebody"}}
    async with partner.http.post(f"{gateway}/{path}", json=body, headers=headers) as answer:
        return answer.status, await answer.json()


async def test_a_revoked_key_is_refused_by_both_at_once(partner: Partner, second: str) -> None:
    await partner.grant(OWNER)
    gateways = [partner.stack.gateway, second]
    assert [(await submit(partner, gateway))[0] for gateway in gateways] == [202, 202]
    command = [
        sys.executable,
        "-m",
        "admin.command",
        "keys",
        "revoke",
        "--client",
        partner.name,
        "--key-name",
        KEY_NAME,
    ]
    environment = os.environ | {"EXHAUST_POSTGRES_OWNER_DSN": partner.stack.postgres}
    await asyncio.to_thread(subprocess.run, command, env=environment, check=True, timeout=60)
    revoked = time.monotonic()
    answers = [await submit(partner, gateway) for gateway in gateways]
    assert time.monotonic() - revoked < REVOKED_WITHIN_S
    assert [(status, body["params"]["err"]) for status, body in answers] == [(401, "LOGIN_FAILED")] * 2


async def test_fifty_submits_at_once_with_one_key_are_one_request(
    partner: Partner, second: str, owner_database: Database
) -> None:
    await partner.grant(OWNER)
    gateways = [partner.stack.gateway, second]
    once = {"Idempotency-Key": "one-and-the-same"}
    path = f"{SUBMIT}?tags[]=nobody-has-it"
    answers = await asyncio.gather(
        *(submit(partner, gateways[number % 2], path=path, headers=once) for number in range(AT_ONCE))
    )
    assert {status for status, _ in answers} == {202}
    [request_id] = {body["result"]["requestid"] for _, body in answers}
    done = await partner.finished(request_id)
    assert (done["status"], done["progress"]["daysdone"], done["progress"]["daystotal"]) == ("complete", 1, 1)
    kept = await owner_database.fetch_one(KEPT, partner.name)
    assert kept is not None
    assert dict(kept) == {"requests": 1, "days": 1, "submits": 1}
    for gateway in gateways:
        status, body = await submit(partner, gateway, headers=once)
        assert (status, body["params"]["err"]) == (422, "INVALID_DATA_ERROR")
