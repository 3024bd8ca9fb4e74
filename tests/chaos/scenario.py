"""One scenario: faults under load on a system of its own, and then the judge."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Final

from tests.chaos.checks.judge import QUIET_WITHIN_S, Judge, Verdict
from tests.chaos.clients import Clients
from tests.chaos.history import COMPLETE
from tests.chaos.rig import Rig, open_rig

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
    from pathlib import Path

    from tests.chaos.timeline import Timeline

WARM_WITHIN_S: Final = 60.0
DAYS: Final = 6
DISKS: Final = {"data": "1500m", "temporary": "64m"}


@dataclass(slots=True)
class Run:
    """A scenario at work.

    Attributes:
        count: how many faults, or rounds of them, the scenario makes.
        random: by the seed.
        only: narrows a scenario that has parts, such as failpoints by name.
    """

    rig: Rig
    clients: Clients
    judge: Judge
    count: int
    random: Random
    only: tuple[str, ...] = ()

    @property
    def timeline(self) -> Timeline:
        return self.rig.timeline


@dataclass(frozen=True, slots=True)
class Scenario:
    """A way to hurt the system.

    Attributes:
        play: makes the faults; it returns when no more come.
        short: the count of `make chaos`.
        long: that of `make chaos-long`.
        processes: how many of each kind run.
        settings: variables for all services.
        proxied: the servers before which a proxy stands.
        own_disks: the servers' data and the temporary files of services each get a small disk of their own.
        quiet_within: seconds until what is under way is taken for stuck.
    """

    name: str
    play: Callable[[Run], Awaitable[None]]
    short: int
    long: int
    processes: Mapping[str, int] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    proxied: tuple[str, ...] = ()
    own_disks: bool = False
    quiet_within: float = QUIET_WITHIN_S


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a run."""

    scenario: str
    seed: int
    count: int
    verdict: Verdict
    fired: Counter[str]
    never_fired: list[str]
    timeline: str
    answers: Mapping[int, int]

    @property
    def passed(self) -> bool:
        return not self.verdict.violations and not self.never_fired


@asynccontextmanager
async def open_run(
    folder: Path, scenario: Scenario, seed: int, count: int, only: tuple[str, ...] = (), mutant: str | None = None
) -> AsyncIterator[Run]:
    """A new system with services, clients and data, warm and idle."""
    extra = {"CHAOS_MUTANT": mutant} if mutant else {}
    settings = {**scenario.settings, **extra}
    sizes = DISKS if scenario.own_disks else {}
    async with open_rig(folder, seed, proxied=scenario.proxied, disks=sizes, settings=settings) as rig:
        await rig.start_services(**scenario.processes)
        clients = Clients(rig)
        await clients.register()
        await rig.raw.add_days(DAYS)
        scratch = folder / "scratch"
        scratch.mkdir()
        run = Run(rig, clients, Judge.of(rig, clients, scratch), count, Random(f"{scenario.name} {seed}"), only)
        await _warm_up(run)
        await run.judge.note_start()
        yield run


async def play(
    folder: Path, scenario: Scenario, *, seed: int, count: int, only: tuple[str, ...] = (), mutant: str | None = None
) -> Outcome:
    """Play a scenario, and judge what it left."""
    async with open_run(folder, scenario, seed, count, only, mutant) as run:
        expected = Counter(run.timeline.fired)
        await scenario.play(run)
        run.clients.rest.set()
        run.timeline.note("no more faults, no more submits")
        verdict = await run.judge.judge(quiet_within=scenario.quiet_within)
        run.timeline.note(f"judged; quiet after {verdict.quiet_after:.1f} s")
        verdict.add("speed", run.timeline.slow)
        verdict.add("seen", run.timeline.wrong)
        fired = run.timeline.fired - expected
        never = [kind for kind in sorted(run.timeline.due) if not fired[kind]]
        return Outcome(
            scenario.name, seed, count, verdict, fired, never, run.timeline.text(), dict(run.rig.history.answers)
        )


async def _warm_up(run: Run) -> None:
    """Have each process do its work once, so that what it opens once is open."""
    submits = [run.clients.begin(run.rig.raw.ask(run.random), keyed=True) for _ in range(6)]
    if "CHAOS_MUTANT" in run.rig.settings:
        return  # it may do nothing right
    async with asyncio.timeout(WARM_WITHIN_S):
        while not all(submit.has_ended for submit in submits):
            await asyncio.sleep(0.05)
    assert {submit.seen[-1][1]["status"] for submit in submits} == {COMPLETE}, submits
