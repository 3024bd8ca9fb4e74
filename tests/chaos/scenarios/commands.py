"""People who change their minds: clients cancel, and operators retry what was repaired, while services die."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from tests.chaos.clients import load
from tests.chaos.history import COMPLETE
from tests.chaos.scenario import Scenario

if TYPE_CHECKING:
    from tests.chaos.history import Submit
    from tests.chaos.scenario import Run

PER_SECOND: Final = 2.0
CANCELS_A_ROUND: Final = 4
CANCEL_WITHIN_S: Final = 1.0
KILL_WITHIN_S: Final = 2.0
ENDS_WITHIN_S: Final = 75.0
EVERY_S: Final = 0.1
_OK: Final = 200


async def _play(run: Run) -> None:
    run.timeline.due |= {"a cancel is told", "a partial download", "a retry of a failed request"}
    run.timeline.due |= {"a retry of a cancelled request"} if run.count >= CANCELS_A_ROUND else set()
    async with load(run.clients, PER_SECOND):
        for _ in range(run.count):
            await _round(run)
    await asyncio.gather(*(child.ready() for child in run.rig.children))


async def _round(run: Run) -> None:
    half_broken = await run.rig.raw.add_half_broken_days()
    await run.rig.raw.add_days(2)
    failing = run.clients.begin(half_broken, keyed=True)
    cancelled = [
        run.clients.begin(
            run.rig.raw.ask(run.random), keyed=True, cancel_after=run.random.uniform(0.0, CANCEL_WITHIN_S)
        )
        for _ in range(CANCELS_A_ROUND)
    ]
    await _kill_one(run)
    if not await _shown(run, failing, "partialurl"):
        run.timeline.wrong.append(f"request {failing.request_id} has no partial download")
        return
    await _judge_partial(run, failing)
    await run.rig.raw.repair(half_broken)
    again = next((submit for submit in cancelled if submit.cancel == "told" and submit.has_ended), None)
    await asyncio.gather(_retry(run, failing), *(_retry(run, submit) for submit in (again,) if submit), _kill_one(run))


async def _retry(run: Run, submit: Submit) -> None:
    await run.clients.retry(submit)
    run.timeline.fault(f"a retry of a {'cancelled' if submit.cancel else 'failed'} request")


async def _kill_one(run: Run) -> None:
    await asyncio.sleep(run.random.uniform(0.0, KILL_WITHIN_S))
    child = run.random.choice(run.rig.children)
    child.kill()
    run.timeline.fault(f"kill {child.kind}", f"({child.name})")


async def _shown(run: Run, submit: Submit, name: str) -> bool:
    """Wait until the status of a request holds a field."""
    deadline = asyncio.get_running_loop().time() + ENDS_WITHIN_S
    while asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(EVERY_S)
        told = await run.clients.status(submit) if submit.request_id else None
        if told is not None and name in told:
            return True
    return False


async def _judge_partial(run: Run, submit: Submit) -> None:
    """Hold the partial download of the first day against the oracle."""
    told = submit.seen[-1][1]
    async with run.rig.http.get(told["partialurl"]) as answer:
        data = await answer.read()
        if answer.status != _OK:
            run.timeline.wrong.append(f"the partial download of {submit.request_id} answers {answer.status}")
            return
    sound = replace(submit.asked, last=submit.asked.first, expected=COMPLETE)
    found = run.rig.raw.differences(sound, data, run.rig.folder / "scratch")
    if told.get("missingdays") != [submit.asked.last]:
        found.append(f"it says that {told.get('missingdays')} are missing")
    run.timeline.wrong += [f"the partial download of {submit.request_id}: {text}" for text in found]
    run.timeline.fault("a partial download")


COMMANDS: Final = Scenario("commands", _play, short=5, long=50)
