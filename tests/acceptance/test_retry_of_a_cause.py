"""A damaged object fails many requests; after it is replaced, one command ends them all, and builds that day alone."""

from __future__ import annotations

import gzip
import json
from datetime import date, timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

from tests.acceptance.conftest import PLAN
from tests.support.doc_examples import shell
from tests.support.partner import resource_of

if TYPE_CHECKING:
    from pathlib import Path

    import aiohttp

    from deploy.local.stack import Stack
    from exhaust.s3.store import ObjectStore
    from tests.support.partner import Partner

OWNER = PLAN.channel_ids[0]
WHOLE_DAY, BROKEN_DAY = date(2026, 10, 25), date(2026, 10, 26)
REQUESTS = 6


async def built_days(objects: ObjectStore, stack: Stack, day: date) -> set[str]:
    """The keys of the archives of a day: one that is built of other objects has another."""
    prefix = f"days/eks-consumption-raw/{resource_of(OWNER)}/{day}/"
    return {found.key async for found in objects.list(stack.s3.exhaust_bucket, prefix)}


async def counted(http: aiohttp.ClientSession, stack: Stack, outcome: str) -> float:
    """The days of an outcome that the aggregator has counted."""
    async with http.get(f"{stack.aggregator_internal}/metrics") as answer:
        lines = (await answer.text()).splitlines()
    [line] = [line for line in lines if line.startswith(f'exhaust_days_total{{outcome="{outcome}"}}')]
    return float(line.split()[-1])


async def test_all_of_one_cause_are_retried(
    reader: Path, stack: Stack, partner: Partner, objects: ObjectStore, http: aiohttp.ClientSession
) -> None:
    await partner.grant(OWNER)
    whole = gzip.compress(b'{"eid":"START"}\n' * 1000)
    broken_key = f"raw/{BROKEN_DAY}-1792972800000.json.gz"
    await objects.put(stack.s3.raw_bucket, f"raw/{WHOLE_DAY}-1792886400000.json.gz", whole)
    await objects.put(stack.s3.raw_bucket, broken_key, whole[:-20])
    requests = [
        (
            await partner.submit(
                f"eks-consumption-raw/{resource_of(OWNER)}/{WHOLE_DAY}/{BROKEN_DAY}?tags[]={uuid4().hex}",
                partner_id=OWNER,
            )
        ).result["requestid"]
        for _ in range(REQUESTS)
    ]
    for request in requests:
        assert (await partner.finished(request))["status"] == "failed"
    explained = json.loads(shell(f"exhaustctl explain {requests[0]} --json", reader))
    assert f"with SOURCE_OBJECT_UNREADABLE, day {BROKEN_DAY}, object {broken_key}" in explained["sentence"]
    [row] = json.loads(shell(f"exhaustctl days --from {BROKEN_DAY} --to {BROKEN_DAY} --json", reader))["days"]
    assert (row["failed"], row["unreadableobjects"]) == (REQUESTS, broken_key)
    before = {day: await built_days(objects, stack, day) for day in (WHOLE_DAY, BROKEN_DAY)}
    assert (len(before[WHOLE_DAY]), len(before[BROKEN_DAY])) == (REQUESTS, 0)

    await objects.put(stack.s3.raw_bucket, broken_key, whole)
    built = await counted(http, stack, "built")
    cause = f"--code SOURCE_OBJECT_UNREADABLE --object {broken_key}"
    told = json.loads(shell(f"exhaustctl retry {cause} --reason 'object replaced' --json", reader))
    assert (told["done"], told["refused"]) == (REQUESTS, 0)
    assert {result["item"] for result in told["results"]} == {f"request/{request}" for request in requests}
    for request in requests:
        finished = await partner.finished(request, within=timedelta(seconds=60))
        assert finished["status"] == "complete"
    assert await built_days(objects, stack, WHOLE_DAY) == before[WHOLE_DAY]
    assert len(await built_days(objects, stack, BROKEN_DAY)) == REQUESTS
    assert await counted(http, stack, "built") - built == REQUESTS
