"""A damaged object fails many requests; after it is replaced, one action ends them all, and builds that day alone.

The action is tried as a command, and as a form of the console.
"""

from __future__ import annotations

import gzip
import json
import re
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import aiohttp
import pytest

from tests.acceptance.conftest import PLAN
from tests.support.doc_examples import shell
from tests.support.partner import resource_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from deploy.local.stack import Stack
    from exhaust.s3.store import ObjectStore
    from tests.support.partner import Partner

OWNER = PLAN.channel_ids[0]
REQUESTS = 6
REASON = "object replaced"
TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')


@dataclass(frozen=True)
class Case:
    """A day that is whole and the day after it, whose object is damaged."""

    whole_day: date

    @property
    def broken_day(self) -> date:
        return self.whole_day + timedelta(days=1)

    @property
    def whole_key(self) -> str:
        return f"raw/{self.whole_day}-1792886400000.json.gz"

    @property
    def broken_key(self) -> str:
        return f"raw/{self.broken_day}-1792972800000.json.gz"


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


async def by_command(case: Case, reader: Path, _http: aiohttp.ClientSession, _stack: Stack) -> dict[str, Any]:
    cause = f"--code SOURCE_OBJECT_UNREADABLE --object {case.broken_key}"
    told: dict[str, Any] = json.loads(shell(f"exhaustctl retry {cause} --reason '{REASON}' --json", reader))
    return told


async def by_console(case: Case, _reader: Path, _http: aiohttp.ClientSession, stack: Stack) -> dict[str, Any]:
    """As a person in a browser: the form, what would be done, and the form that does it."""
    asked = {"code": "SOURCE_OBJECT_UNREADABLE", "object": case.broken_key, "reason": REASON}
    browser = {"Accept": "text/html", "Origin": stack.console}
    async with aiohttp.ClientSession(stack.console, cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        async with session.get("/actions", headers=browser) as page:
            fields = asked | {"csrf_token": TOKEN.findall(await page.text())[0]}
        async with session.post("/actions/retry-cause", data=fields, headers=browser) as page:
            shown = await page.text()
            assert f"Do it: retry all of one cause, {REQUESTS}" in shown, shown
        fields |= {"csrf_token": TOKEN.findall(shown)[0], "confirmed": "yes"}
        accepts = browser | {"Accept": "application/json"}
        async with session.post("/actions/retry-cause", data=fields, headers=accepts) as answer:
            told: dict[str, Any] = await answer.json()
    return told


@pytest.mark.parametrize(
    ("case", "retry"),
    [
        pytest.param(Case(date(2026, 10, 25)), by_command, id="command"),
        pytest.param(Case(date(2026, 10, 28)), by_console, id="console"),
    ],
)
async def test_all_of_one_cause_are_retried(
    reader: Path,
    stack: Stack,
    partner: Partner,
    objects: ObjectStore,
    http: aiohttp.ClientSession,
    case: Case,
    retry: Callable[[Case, Path, aiohttp.ClientSession, Stack], Awaitable[dict[str, Any]]],
) -> None:
    await partner.grant(OWNER)
    whole = gzip.compress(b'{"eid":"START"}\n' * 1000)
    await objects.put(stack.s3.raw_bucket, case.whole_key, whole)
    await objects.put(stack.s3.raw_bucket, case.broken_key, whole[:-20])
    requests = [
        (
            await partner.submit(
                f"eks-consumption-raw/{resource_of(OWNER)}/{case.whole_day}/{case.broken_day}?tags[]={uuid4().hex}",
                partner_id=OWNER,
            )
        ).result["requestid"]
        for _ in range(REQUESTS)
    ]
    for request in requests:
        assert (await partner.finished(request))["status"] == "failed"
    explained = json.loads(shell(f"exhaustctl explain {requests[0]} --json", reader))
    assert f"with SOURCE_OBJECT_UNREADABLE, day {case.broken_day}, object {case.broken_key}" in explained["sentence"]
    [row] = json.loads(shell(f"exhaustctl days --from {case.broken_day} --to {case.broken_day} --json", reader))["days"]
    assert (row["failed"], row["unreadableobjects"]) == (REQUESTS, case.broken_key)
    before = {day: await built_days(objects, stack, day) for day in (case.whole_day, case.broken_day)}
    assert (len(before[case.whole_day]), len(before[case.broken_day])) == (REQUESTS, 0)

    await objects.put(stack.s3.raw_bucket, case.broken_key, whole)
    built = await counted(http, stack, "built")
    told = await retry(case, reader, http, stack)
    assert (told["done"], told["refused"]) == (REQUESTS, 0)
    assert {result["item"] for result in told["results"]} == {f"request/{request}" for request in requests}
    for request in requests:
        finished = await partner.finished(request, within=timedelta(seconds=60))
        assert finished["status"] == "complete"
    assert await built_days(objects, stack, case.whole_day) == before[case.whole_day]
    assert len(await built_days(objects, stack, case.broken_day)) == REQUESTS
    assert await counted(http, stack, "built") - built == REQUESTS
