"""A frozen aggregator: operators soon read what stands still, and afterwards when it is done."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest

from deploy.local.stack import read_stack
from tests.acceptance.conftest import FIRST, FOLDER
from tests.conftest import ROOT
from tests.support.frozen import family, frozen
from tests.support.partner import Partner, resource_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import aiohttp

    from deploy.local.stack import Stack

OWNERS: Final = ("org.example.lag.one", "org.example.lag.two")
REQUESTS, DAYS = 7, 31
TOLD_WITHIN: Final = timedelta(seconds=60)  # 16 s on a machine that does nothing else
IDLE_WITHIN_S = 200
PAGE = 2
AGE: Final = re.compile(r"\d+ (s|min)\b")  # the one thing in which two looks at the same state differ


@dataclass(frozen=True, slots=True)
class Operator:
    """Who asks the console and the command."""

    http: aiohttp.ClientSession
    stack: Stack
    folder: Path

    async def console(self) -> dict[str, Any]:
        async with self.http.get(f"{self.stack.console}/now") as answer:
            assert answer.status == 200
            document: dict[str, Any] = await answer.json()
        return document

    async def command(self, *arguments: str) -> tuple[int, str]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "admin.command", *arguments),
            cwd=self.folder,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await process.communicate()
        assert process.returncode is not None
        return process.returncode, out.decode()


@pytest.fixture
def operator(http: aiohttp.ClientSession, stack: Stack, tmp_path: Path) -> Operator:
    (tmp_path / ".local").symlink_to(FOLDER)
    return Operator(http, stack, tmp_path)


@asynccontextmanager
async def slowed(process: int) -> AsyncIterator[None]:
    """Lets a process and its children run for a fraction of the time: a burst of work lasts long enough to be seen."""

    async def slow() -> None:
        try:
            while True:
                _signal(process, signal.SIGSTOP)
                await asyncio.sleep(0.6)
                _signal(process, signal.SIGCONT)
                await asyncio.sleep(0.1)
        finally:
            _signal(process, signal.SIGCONT)

    slowing = asyncio.create_task(slow())
    try:
        yield
    finally:
        slowing.cancel()
        await asyncio.gather(slowing, return_exceptions=True)


def _signal(process: int, what: signal.Signals) -> None:
    for member in family(process):
        with suppress(ProcessLookupError):
            os.kill(member, what)


async def submit_all(partner: Partner) -> None:
    """Seven requests of 31 days each, of two partners, no two alike."""
    for owner in OWNERS:
        await partner.grant(owner)
    for number in range(REQUESTS):
        owner = OWNERS[number % len(OWNERS)]
        path = f"eks-consumption-raw/{resource_of(owner)}/{FIRST}/{FIRST + timedelta(days=DAYS - 1)}"
        reply = await partner.submit(f"{path}?tags[]=lag-{number}", partner_id=owner)
        assert reply.status == 202, reply


def work_days(document: dict[str, Any]) -> int:
    return sum(stage["workdays"] or 0 for stage in document["stages"])


@pytest.mark.usefixtures("raw_days")
async def test_a_frozen_aggregator_is_told_and_its_end_is_foreseen(operator: Operator, partner: Partner) -> None:
    aggregator = read_stack(FOLDER).processes["aggregator"]  # another test may have started it anew
    await until_word(operator, "IDLE", 60)
    with frozen(aggregator):
        at = datetime.now(UTC)
        await submit_all(partner)
        told, shown, code = dict[str, Any](), dict[str, Any](), 0
        while code != PAGE or shown["exitcode"] != PAGE:
            code, out = await operator.command("now", "--json")
            told, shown = json.loads(out), await operator.console()
            for document in (told, shown):
                assert datetime.fromisoformat(document["at"]) - at < TOLD_WITHIN, document
        _, text = await operator.command("now")
    print(f"\nafter {(datetime.fromisoformat(told['at']) - at).total_seconds():.1f} s: {told['verdict']['sentence']}")
    assert told["verdict"]["word"] == shown["verdict"]["word"] == "NOBODY READS"
    sentences = {AGE.sub("AGE", document["verdict"]["sentence"]) for document in (told, shown)}
    assert sentences == {
        "Nobody plans. 7 requests of 2 partners stand still, the oldest for AGE. Group aggregator-plan has no members."
    }
    assert "\n".join(text.splitlines()[:1]).startswith("NOBODY READS: Nobody plans. 7 requests of 2 partners")
    assert work_days(told) == work_days(shown) == REQUESTS * DAYS
    await its_end_is_foreseen(operator, aggregator)
    await the_worker_is_known(operator)


async def the_worker_is_known(operator: Operator) -> None:
    """By its next beat at the latest, the aggregator has told how much it has read."""
    async with asyncio.timeout(30):
        while True:
            _, out = await operator.command("workers", "--json")
            workers = [worker for worker in json.loads(out)["workers"] if not worker["silent"]]
            if found := [worker for worker in workers if worker["bytesdone"] and not worker["days"]]:
                break
    worker = found[0]
    assert set(worker["partitions"]) == {"dataset.requests", "dataset.days"}
    assert worker["dayp95"] > 0
    assert not set(OWNERS) & set(re.findall(r"[\w.]+", out))


async def its_end_is_foreseen(operator: Operator, aggregator: int) -> None:
    async with slowed(aggregator):
        seen = await until_word(operator, "IDLE", IDLE_WITHIN_S)
    end = seen[-1][0]
    forecasts = [(at, document["verdict"]) for at, document in seen if document["verdict"]["drains"]]
    words = list(dict.fromkeys(document["verdict"]["word"] for _, document in seen))
    print(words)
    assert forecasts
    assert {verdict["word"] for _, verdict in forecasts} == {"CATCHING UP"}
    at, first = forecasts[0]
    print(f"{first['sentence']} It was done in {end - at:.0f} s.")
    # Tests beside this one change how fast the work goes, so not each forecast holds.
    assert any(verdict["drains"]["least"] <= end - at <= verdict["drains"]["most"] for at, verdict in forecasts)


async def until_word(operator: Operator, word: str, within_s: float) -> list[tuple[float, dict[str, Any]]]:
    """What the console shows until it says a word, and when."""
    seen: list[tuple[float, dict[str, Any]]] = []
    async with asyncio.timeout(within_s):
        while True:
            seen.append((time.monotonic(), await operator.console()))
            if seen[-1][1]["verdict"]["word"] == word:
                return seen
            await asyncio.sleep(0.5)  # as often as the page asks
