"""A rolling restart of everything under load, through fronts before two gateways and two status services."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from tests.chaos.clients import load
from tests.chaos.scenario import Scenario

if TYPE_CHECKING:
    from tests.chaos.children import Child
    from tests.chaos.scenario import Run

PER_SECOND: Final = 5.0
EVERY_S: Final = 20.0
_SERVER_ERROR: Final = 500


async def _play(run: Run) -> None:
    run.timeline.due |= {"restart"}
    before = dict(run.rig.history.answers)
    loop = asyncio.get_running_loop()
    async with load(run.clients, PER_SECOND):
        for _ in range(run.count):
            due = loop.time() + EVERY_S
            await run.rig.raw.add_days(2)
            for number in range(2):
                chosen = [run.rig.of(kind)[number] for kind in ("gateway", "aggregator", "status")]
                await asyncio.gather(*(_restart(run, child) for child in chosen))
            await asyncio.sleep(max(0.0, due - loop.time()))
    for status, number in sorted(run.rig.history.answers.items()):
        more = number - before.get(status, 0)
        if more and (status == 0 or status >= _SERVER_ERROR):
            run.timeline.wrong.append(f"{more} calls through the front got {status or 'no answer'}")


async def _restart(run: Run, child: Child) -> None:
    took = await child.stop()
    run.timeline.fault("restart", f"{child.name}, which took {took:.1f} s to end")
    await child.start()
    await child.ready()
    await run.rig.seen_by_front(child)


ROLLING: Final = Scenario(
    "rolling",
    _play,
    short=5,
    long=50,
    processes={"gateways": 2, "aggregators": 2, "statuses": 2},
    settings={"EXHAUST_DRAIN_DELAY": "PT1S"},
)
