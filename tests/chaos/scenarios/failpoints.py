"""A crash at each failpoint: every process is armed with one after the other, and crashes there under load."""

from __future__ import annotations

import asyncio
import re
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from tests.attacks.callers import ask
from tests.chaos.clients import NO_ANSWER, load
from tests.chaos.poison import plant_text
from tests.chaos.scenario import Scenario
from tests.conftest import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.chaos.children import Child
    from tests.chaos.scenario import Run

PER_SECOND: Final = 4.0
FIRES_WITHIN_S: Final = 40.0
SETTLES_WITHIN_S: Final = 75.0
_NAME: Final = re.compile(r'^    "([a-z_]+\.[a-z_]+)": ', re.MULTILINE)
_WAITING_ELSEWHERE: Final = """
SELECT count(*) FROM requests WHERE dataset_id = 'chaos-elsewhere' AND state IN ('submitted', 'inprogress')
"""
# The process in which a step is, by the first part of its name; those of the kit are in several.
KINDS: Final = {
    "register": "gateway",
    "idempotency": "gateway",
    "submit": "gateway",
    "relay": "gateway",
    "plan": "aggregator",
    "day": "aggregator",
    "assemble": "aggregator",
    "upload": "aggregator",
    "dead_letter": "aggregator",
    "partial": "aggregator",
    "cancel": "status",
    "consumer": "status",
    "status": "status",
    "update": "status",
    "reaper": "status",
}
KILLED_ELSEWHERE: Final = {"delete", "redrive", "webhook"}  # by tests of their own


def failpoints() -> list[str]:
    """The names of the services' steps, as the product's list has them."""
    names: list[str] = _NAME.findall((ROOT / "exhaust" / "process" / "failpoints.py").read_text())
    return [name for name in names if name.partition(".")[0] not in KILLED_ELSEWHERE]


class _Sweep:
    """Arms the first process of each kind with its next failpoint at each start."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self.left: dict[str, list[str]] = {kind: [] for kind in set(KINDS.values())}
        for name in failpoints():
            for hit in range(1, run.count + 1):
                if not run.only or {name, f"{name}:{hit}"} & set(run.only):
                    self.left[KINDS[name.partition(".")[0]]].append(f"{name}:{hit}")
        for waiting in self.left.values():
            run.random.shuffle(waiting)
            run.timeline.due |= {f"crash at {entry}" for entry in waiting}
        self.armed: dict[str, str] = {}
        self.since: dict[str, float] = {}

    def environment(self, child: Child) -> Mapping[str, str]:
        """Note the crash that has just happened, and arm the process that is about to start."""
        before = self.armed.pop(child.kind, None)
        if before is not None and child.exits and child.exits[-1][1] == 86:
            self._run.timeline.fault(f"crash at {before}")
        waiting = self.left[child.kind]
        if not waiting:
            return {}
        self.armed[child.kind] = waiting.pop()
        self.since[child.kind] = time.monotonic()
        return {"EXHAUST_FAILPOINTS": self.armed[child.kind]}

    def give_up(self, child: Child) -> None:
        """Go on with the next one when a process does not come to its failpoint."""
        if child.kind in self.armed and time.monotonic() - self.since[child.kind] > FIRES_WITHIN_S:
            self._run.timeline.note(f"nobody came to {self.armed[child.kind]}")
            child.kill()

    @property
    def is_over(self) -> bool:
        return not self.armed and not any(self.left.values())


async def _play(run: Run) -> None:
    sweep = _Sweep(run)
    firsts = [run.rig.of(kind)[0] for kind in sorted(sweep.left) if sweep.left[kind]]
    spicing = asyncio.create_task(spice(run))
    async with load(run.clients, PER_SECOND):
        for child in firsts:
            child.next_environment = sweep.environment
            child.kill()  # the next one is armed
        while not sweep.is_over:
            await asyncio.sleep(0.2)
            for child in firsts:
                sweep.give_up(child)
            if spicing.done():
                spicing.result()
    spicing.cancel()
    await asyncio.gather(spicing, return_exceptions=True)
    await asyncio.gather(*(child.ready() for child in firsts))
    await settle(run)


async def spice(run: Run) -> None:
    """Do what a plain load does not, so that somebody comes to each failpoint."""
    await run.rig.raw.add_broken_day()
    while True:
        await run.rig.raw.add_large_day()
        run.clients.begin(run.rig.raw.ask_large(), keyed=True)
        run.clients.begin(run.rig.raw.ask_broken(), keyed=True)
        run.clients.begin(await run.rig.raw.add_half_broken_days(), keyed=True)
        run.clients.begin(run.rig.raw.ask(run.random), keyed=True, cancel_after=0.0)
        if not await run.rig.database.fetchval(_WAITING_ELSEWHERE):
            run.clients.begin(run.rig.raw.ask_elsewhere(), keyed=True)
        await run.rig.raw.add_days(3)
        await plant_text(run)
        with suppress(*NO_ANSWER, AssertionError):
            await run.clients.register_client()
        for _ in range(4):
            await _update_something(run)
            await _make_stuck(run)
            await asyncio.sleep(0.5)


async def settle(run: Run) -> None:
    """Let the requests that nobody works on come to their end."""
    deadline = time.monotonic() + SETTLES_WITHIN_S
    while await run.rig.database.fetchval(_WAITING_ELSEWHERE) and time.monotonic() < deadline:
        await _make_stuck(run)
        await asyncio.sleep(0.3)


async def _make_stuck(run: Run) -> None:
    """Let requests that nobody works on look as if they had waited for an hour."""
    await run.rig.database.execute(
        "UPDATE requests SET moved_at = now() - interval '2 hours'"
        " WHERE dataset_id = 'chaos-elsewhere' AND state IN ('submitted', 'inprogress')"
        " AND request_id NOT IN (SELECT request_id FROM outbox)"
    )


async def _update_something(run: Run) -> None:
    """Report that a request is in progress, as a job elsewhere does."""
    known = [submit for submit in run.rig.history.submits if submit.request_id and not submit.has_ended]
    if not known:
        return
    url = f"{run.rig.internal}/v2/datasets/requests/update/{known[0].request_id}"
    headers = {"Authorization": f"Bearer {run.rig.stack.service_token}"}
    with suppress(*NO_ANSWER):
        await ask(run.rig.http, url, {"status": "inprogress"}, headers=headers)


FAILPOINTS: Final = Scenario(
    "failpoints", _play, short=1, long=3, processes={"gateways": 1, "aggregators": 1, "statuses": 1}
)
