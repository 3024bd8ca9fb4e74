"""SIGKILL in the middle of a request: nothing is lost, nothing that was finished is built again."""

import asyncio
import os
import signal
from datetime import date, timedelta
from pathlib import Path

import aiohttp

from deploy.local.independent_count import Wanted, compare_download
from deploy.local.stack import Stack, read_stack, start_stack
from exhaust.s3.store import ObjectStore
from telemetry.generator import GeneratorPlan, generate
from tests.acceptance.conftest import FOLDER
from tests.support.partner import Partner, resource_of

PLAN = GeneratorPlan(
    seed=11,
    days=tuple(date(2026, 7, 1) + timedelta(days=number) for number in range(10)),
    channels=2,
    partners=2,
    tags=1,
    events_per_day=12_000,
    objects_per_day=2,
)
OWNER = PLAN.channel_ids[0]


async def built(http: aiohttp.ClientSession, stack: Stack) -> float:
    """The metric: day archives that this aggregator process has built."""
    async with http.get(f"{stack.aggregator_internal}/metrics") as answer:
        lines = (await answer.text()).splitlines()
    return sum(
        float(line.rpartition(" ")[2]) for line in lines if line.startswith('exhaust_days_total{outcome="built"')
    )


async def durable(objects: ObjectStore, stack: Stack) -> set[str]:
    """Records of finished day archives of the request's resource."""
    prefix = f"records/eks-consumption-raw/{resource_of(OWNER)}/2026-07-"
    return {found.key async for found in objects.list(stack.s3.exhaust_bucket, prefix) if found.key.endswith(".json")}


async def test_a_killed_aggregator_loses_nothing_and_builds_nothing_twice(
    partner: Partner, http: aiohttp.ClientSession, stack: Stack, objects: ObjectStore, tmp_path: Path
) -> None:
    raw: dict[str, dict[str, bytes]] = {}
    for found in generate(PLAN):
        raw.setdefault(found.day.isoformat(), {})[found.name] = found.data
        await objects.put(stack.s3.raw_bucket, f"raw/{found.name}", found.data)
    await partner.grant(OWNER)
    reply = await partner.submit(
        f"eks-consumption-raw/{resource_of(OWNER)}/{PLAN.days[0]}/{PLAN.days[-1]}", partner_id=OWNER
    )
    async with asyncio.timeout(60):
        while True:
            finished_before = await durable(objects, stack)
            if finished_before:
                break
            await asyncio.sleep(0.005)
    killed = read_stack(FOLDER).processes["aggregator"]  # another test may have started it again
    os.kill(killed, signal.SIGKILL)
    finished_before = await durable(objects, stack)
    assert 0 < len(finished_before) < len(PLAN.days), "the kill came too late to be in the middle"

    restarted = await asyncio.to_thread(start_stack, FOLDER, stop_at_exit=True)
    assert restarted.processes["aggregator"] != killed
    result = await partner.finished(reply.result["requestid"])

    assert result["status"] == "complete"
    # At most: the store may have finished a write of the dead process after it was asked.
    assert 0 < await built(http, restarted) <= len(PLAN.days) - len(finished_before)
    assert finished_before < await durable(objects, stack)
    archive = tmp_path / "download.zip"
    archive.write_bytes(await partner.download(result))
    found_days = compare_download(archive, sorted(raw), raw.__getitem__, Wanted(resource_of(OWNER)))
    assert [day.difference for day in found_days if day.difference] == []
