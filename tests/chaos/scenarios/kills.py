"""Processes that are killed at a moment that nobody chose: one or two services, Kafka, PostgreSQL."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING, Final

from deploy.local import kafka, postgres
from tests.chaos.clients import load
from tests.chaos.scenario import Scenario

if TYPE_CHECKING:
    from tests.chaos.scenario import Run

PER_SECOND: Final = 5.0
TWO_AT_ONCE_SHARE: Final = 0.3
EVERY_S: Final = (1.5, 4.0)
DAYS_A_FAULT: Final = 2
AWAY_S: Final = (1.0, 20.0)  # in turn
STALL_S: Final = 30.0
RECOVERS_WITHIN_S: Final = 15.0
BUSY: Final = 3.0


async def _kill_services(run: Run) -> None:
    run.timeline.due |= {"kill gateway", "kill aggregator", "kill status"} if run.count >= 10 else set()
    kinds = ["gateway", "aggregator", "status"]
    async with load(run.clients, PER_SECOND):
        for number in range(run.count):
            await run.rig.raw.add_days(DAYS_A_FAULT)
            await asyncio.sleep(run.random.uniform(*EVERY_S))
            # Each kind in turn, so that none is left out by chance; a second one by chance.
            chosen = [run.random.choice(run.rig.of(kinds[number % len(kinds)]))]
            if run.random.random() < TWO_AT_ONCE_SHARE:
                chosen.append(run.random.choice([child for child in run.rig.children if child is not chosen[0]]))
            for child in chosen:
                child.kill()
                run.timeline.fault(f"kill {child.kind}", f"({child.name})")
    await asyncio.gather(*(child.ready() for child in run.rig.children))


async def _kill_kafka(run: Run) -> None:
    """Kill the broker and start it again soon or late; and stall it while a member leaves."""
    async with load(run.clients, PER_SECOND):
        for number in range(run.count):
            await run.rig.raw.add_days(DAYS_A_FAULT)
            await asyncio.sleep(run.random.uniform(*EVERY_S))
            if number % 3 == 2:
                await _stall_kafka(run)
            else:
                await _restart_kafka(run, AWAY_S[number % 3])
    await asyncio.gather(*(child.ready() for child in run.rig.children))


async def _restart_kafka(run: Run, away_s: float) -> None:
    os.kill(run.rig.server_pid(kafka.NAME), signal.SIGKILL)
    run.timeline.fault("kill kafka", f"for {away_s:.0f} s")
    await asyncio.sleep(away_s)
    await run.rig.start_servers()
    run.timeline.note("kafka is back")
    await flows_again(run)


async def _stall_kafka(run: Run) -> None:
    pid = run.rig.server_pid(kafka.NAME)
    os.kill(pid, signal.SIGSTOP)
    run.timeline.fault("stall kafka", f"for {STALL_S:.0f} s")
    await asyncio.sleep(STALL_S / 3)
    leaving = run.random.choice(run.rig.of("aggregator"))
    leaving.kill()
    run.timeline.fault("a member leaves", f"({leaving.name})")
    await asyncio.sleep(STALL_S * 2 / 3)
    os.kill(pid, signal.SIGCONT)
    await flows_again(run)


async def _kill_postgres(run: Run) -> None:
    """End the server at once, as `pg_ctl stop -m immediate` does, so that it has to recover."""
    async with load(run.clients, PER_SECOND):
        for _ in range(run.count):
            await run.rig.raw.add_days(DAYS_A_FAULT)
            await asyncio.sleep(run.random.uniform(*EVERY_S))
            os.kill(run.rig.server_pid(postgres.NAME), signal.SIGQUIT)
            run.timeline.fault("stop postgres at once")
            await asyncio.sleep(run.random.choice(AWAY_S[:1]))
            await run.rig.start_servers()
            await flows_again(run)
    await asyncio.gather(*(child.ready() for child in run.rig.children))


async def flows_again(run: Run) -> None:
    """Wait until a request that is submitted now is complete, and note how long that took."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    probe = run.clients.begin(run.rig.raw.ask(run.random), keyed=True)
    while not probe.has_ended and loop.time() - began < 4 * RECOVERS_WITHIN_S:
        await asyncio.sleep(0.05)
    took = loop.time() - began
    busy = os.getloadavg()[0] / (os.cpu_count() or 1)
    run.timeline.note(f"work flows again after {took:.1f} s, with {busy:.1f} processes for each core")
    # Where others work on the same machine the time says nothing.
    if took > RECOVERS_WITHIN_S and busy < BUSY:
        run.timeline.slow.append(f"work flowed again only {took:.1f} s after the fault was over")


KILLS: Final = Scenario("kills", _kill_services, short=20, long=300)
KAFKA: Final = Scenario("kafka", _kill_kafka, short=5, long=50)
POSTGRES: Final = Scenario("postgres", _kill_postgres, short=3, long=30)
