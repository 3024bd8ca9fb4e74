"""A short run that meets each mutant: a crash at its failpoints, replayed records, poison and a request that fails."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from tests.chaos.checks.facts import COMPLETIONS, DAYS, REQUESTS
from tests.chaos.poison import open_producer, plant_text
from tests.chaos.scenario import Scenario

if TYPE_CHECKING:
    from tests.chaos.children import Child
    from tests.chaos.scenario import Run

REQUESTS_MADE: Final = 16
FIRES_WITHIN_S: Final = 15.0
ENDS_WITHIN_S: Final = 6.0
_KINDS: Final = {"upload": "aggregator"}


async def _play(run: Run) -> None:
    await run.rig.raw.add_broken_day()
    await run.rig.raw.add_large_day()
    for name in run.only:
        await _arm(run, name)
    run.clients.begin(run.rig.raw.ask_broken(), keyed=True)
    run.clients.begin(run.rig.raw.ask_large(), keyed=True)
    run.clients.begin(run.rig.raw.ask(run.random), keyed=True, cancel_after=0.0)
    for _ in range(REQUESTS_MADE):
        run.clients.begin(run.rig.raw.ask(run.random), keyed=True)
        await asyncio.sleep(0.1)
    await plant_text(run)
    if run.only:  # what is lost by a crash must not come back by a replay
        await _wait_for_crash(run)
        return
    await _submit_again(run)
    async with open_producer(run) as producer:
        for topic in (REQUESTS, DAYS, COMPLETIONS):
            records = list(run.rig.topics.records(topic))
            run.random.shuffle(records)
            for record in records:
                headers = [(name.decode(), value) for name, value in record.headers]
                await producer.send(topic, record.value, key=record.key, headers=headers)
        await producer.flush()
    run.timeline.fault("replay of all topics")


async def _submit_again(run: Run) -> None:
    """Repeat submits whose requests have ended, under their keys."""
    deadline = asyncio.get_running_loop().time() + ENDS_WITHIN_S
    submits = [submit for submit in run.rig.history.submits if submit.key is not None]
    while not all(submit.has_ended for submit in submits) and asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(0.1)
    for submit in submits:
        if submit.has_ended:
            reply = await run.clients.submit_again(submit)
            run.timeline.fired["submit under an old key"] += 1
            if reply.result.get("requestid") != submit.request_id:
                run.timeline.wrong.append(f"submit {submit.username} has another request when it is repeated")


async def _arm(run: Run, name: str) -> None:
    """Start the process of a failpoint again, armed."""
    child = run.rig.of(_KINDS[name.partition(".")[0]])[0]

    def armed(_: Child) -> dict[str, str]:
        child.next_environment = lambda _: {}
        return {"EXHAUST_FAILPOINTS": name}

    child.next_environment = armed
    before = len(child.exits)
    child.kill()
    while len(child.exits) == before:
        await asyncio.sleep(0.02)
    await asyncio.sleep(0.5)
    await child.ready()


async def _wait_for_crash(run: Run) -> None:
    deadline = asyncio.get_running_loop().time() + FIRES_WITHIN_S
    for name in run.only:
        run.timeline.due.add(f"crash at {name}")
        child = run.rig.of(_KINDS[name.partition(".")[0]])[0]
        while len(child.exits) < 2 and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.05)
        if len(child.exits) >= 2 and child.exits[1][1] == 86:
            run.timeline.fault(f"crash at {name}")
        await child.ready()


MUTATED: Final = Scenario("mutated", _play, short=1, long=1, processes={"gateways": 1, "aggregators": 1, "statuses": 1})
