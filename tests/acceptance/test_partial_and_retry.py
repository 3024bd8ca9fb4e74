"""A request that fails on one day gives its other days, and a retry builds that day alone; and a cancelled request."""

from __future__ import annotations

import asyncio
import getpass
import itertools
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from yarl import URL

from deploy.local.stack import read_stack
from exhaust.errors import CANCELLED_SENTENCE, ErrorCode, error_document
from telemetry.generator import GeneratorPlan, generate
from tests.acceptance.conftest import FOLDER
from tests.support.partner import Partner, resource_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import aiohttp

    from deploy.local.stack import Stack
    from exhaust.s3.store import ObjectStore

DAYS = 3
PLAN = GeneratorPlan(
    seed=23,
    days=tuple(date(2026, 5, 1) + timedelta(days=number) for number in range(DAYS)),
    channels=1,
    partners=1,
    tags=1,
    events_per_day=500,
    objects_per_day=1,
)
OWNER = PLAN.channel_ids[0]
PATH = f"eks-consumption-raw/{resource_of(OWNER)}/{PLAN.days[0]}/{PLAN.days[-1]}"
TIMEOUT_S = 60


async def operate(stack: Stack, *arguments: str) -> str:
    """Run the operators' command on the stack."""
    environment = os.environ | {"EXHAUST_POSTGRES_OWNER_DSN": stack.postgres, "LOGNAME": getpass.getuser()}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "admin.command", *arguments), env=environment, stdout=subprocess.PIPE
    )
    out, _ = await asyncio.wait_for(process.communicate(), TIMEOUT_S)
    assert process.returncode == 0
    return out.decode()


async def status_with(partner: Partner, request_id: str, field: str) -> dict[str, Any]:
    async with asyncio.timeout(TIMEOUT_S):
        for pause in itertools.repeat(0.2):
            result = (await partner.status(request_id)).result
            if field in result:
                return result
            await asyncio.sleep(pause)
    raise AssertionError(field)


async def days_by_outcome(http: aiohttp.ClientSession, stack: Stack) -> dict[str, float]:
    async with http.get(f"{stack.aggregator_internal}/metrics") as answer:
        lines = (await answer.text()).splitlines()
    found = [line for line in lines if line.startswith("exhaust_days_total{")]
    return {line.split('"')[1]: float(line.rpartition(" ")[2]) for line in found}


async def verified(path: Path) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "telemetry_exhaust", "verify", str(path)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    out, _ = await asyncio.wait_for(process.communicate(), TIMEOUT_S)
    return process.returncode, out.decode()


async def test_the_other_days_can_be_had_and_a_retry_builds_what_failed(
    partner: Partner, http: aiohttp.ClientSession, stack: Stack, objects: ObjectStore, tmp_path: Path
) -> None:
    raw = {found.day: found for found in generate(PLAN)}
    for number, found in enumerate(raw.values()):
        data = found.data[:-20] if number == 1 else found.data
        await objects.put(stack.s3.raw_bucket, f"raw/{found.name}", data)
    await partner.grant(OWNER)
    request_id = (await partner.submit(PATH, partner_id=OWNER)).result["requestid"]
    failed = await status_with(partner, request_id, "partialurl")
    assert (failed["status"], failed["error"]["code"]) == ("failed", "SOURCE_OBJECT_UNREADABLE")
    assert failed["missingdays"] == [str(PLAN.days[1])]
    path = tmp_path / "partial.zip"
    async with http.get(URL(failed["partialurl"], encoded=True)) as answer:
        assert answer.status == 200
        path.write_bytes(await answer.read())
    code, shown = await verified(path)
    assert code == 6, shown
    assert "is partial: 1 of 3 days are missing, the others are right" in shown

    broken = raw[PLAN.days[1]]
    await objects.put(stack.s3.raw_bucket, f"raw/{broken.name}", broken.data)
    before = await days_by_outcome(http, stack)
    assert "attempt 2" in await operate(stack, "retry", request_id, "--reason", "the object is repaired")
    result = await partner.finished(request_id)
    assert (result["status"], result["progress"]["daysdone"]) == ("complete", DAYS)
    after = await days_by_outcome(http, stack)
    assert {name: after[name] - before[name] for name in before} == {
        "built": 1,
        "reused": DAYS - 1,
        "failed": 0,
        "cancelled": 0,
    }
    path.write_bytes(await partner.download(result))
    assert (await verified(path))[0] == 0


@contextmanager
def standing_still(pid: int) -> Iterator[None]:
    """Stop a process for the time of the block."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def keys_of(objects: ObjectStore, stack: Stack, request_id: str) -> list[str]:
    prefix = f"requests/{request_id}/"
    return [found.key.removeprefix(prefix) async for found in objects.list(stack.s3.exhaust_bucket, prefix)]


async def test_a_cancelled_request_ends_and_nobody_works_on_it(
    partner: Partner, http: aiohttp.ClientSession, stack: Stack, objects: ObjectStore
) -> None:
    await partner.grant(OWNER)
    url = f"{stack.gateway}/v2/datasets/requests/status"
    with standing_still(read_stack(FOLDER).processes["aggregator"]):
        by_call, by_command = [
            str((await partner.submit(f"{PATH}?tags={tag}", partner_id=OWNER)).result["requestid"]) for tag in "ab"
        ]
        for _ in range(2):
            async with http.delete(f"{url}/{by_call}", headers={"X-API-Key": partner.license_key}) as answer:
                assert answer.status == 200
                receipt = (await answer.json())["result"]
                assert receipt["error"] == error_document(ErrorCode.CANCELLED, CANCELLED_SENTENCE)
        assert by_command in await operate(stack, "cancel", by_command, "--reason", "the partner asked")
        async with asyncio.timeout(TIMEOUT_S):
            for pause in itertools.repeat(0.1):
                if [await keys_of(objects, stack, each) for each in (by_call, by_command)] == [
                    ["attempt-1/cancelled"]
                ] * 2:
                    break
                await asyncio.sleep(pause)
    other = (await partner.submit(f"{PATH}?tags=c", partner_id=OWNER)).result["requestid"]
    assert (await partner.finished(other))["status"] == "complete"
    for request_id in (by_call, by_command):
        result = await partner.finished(request_id)
        assert (result["status"], result["error"]["code"]) == ("failed", "CANCELLED")
        assert await keys_of(objects, stack, request_id) == ["attempt-1/cancelled"]
    # Who wants it after all has it tried again.
    await operate(stack, "retry", by_call, "--reason", "wanted after all")
    assert (await partner.finished(by_call))["status"] == "complete"
