"""Members of the consumer groups that come, go, and stand still."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.chaos.clients import load
from tests.chaos.rig import SESSION_S
from tests.chaos.scenario import Scenario

if TYPE_CHECKING:
    from tests.chaos.children import Child
    from tests.chaos.scenario import Run

PER_SECOND: Final = 4.0
CHANGE_EVERY_S: Final = 3.0
CHURN_FOR_S: Final = 120.0
PAUSES_WITHIN_S: Final = 40.0
SESSIONS: Final = (0.5, 1.0, 3.0)
UPLOADING: Final = ("upload.after_start:1=pause", "upload.after_part:1=pause", "upload.before_complete:1=pause")


async def _churn(run: Run) -> None:
    """Have one more member of a group join, or one leave in good order or at once, every three seconds."""
    run.timeline.due |= {"a member joins", "a member leaves", "a member dies"}
    more: list[Child] = []
    async with load(run.clients, PER_SECOND):
        for _ in range(run.count):
            deadline = time.monotonic() + CHURN_FOR_S
            while time.monotonic() < deadline:
                began = time.monotonic()
                await _change(run, more)
                await run.rig.raw.add_days(1)
                await asyncio.sleep(max(0.0, CHANGE_EVERY_S - (time.monotonic() - began)))
    await asyncio.gather(*(child.stop() for child in more))


async def _change(run: Run, more: list[Child]) -> None:
    if len(more) < 2 and (not more or run.random.random() < 0.6):
        more.append(await run.rig.add(run.random.choice(("aggregator", "status"))))
        run.timeline.fault("a member joins", f"({more[-1].name})")
        return
    leaving = more.pop(run.random.randrange(len(more)))
    if run.random.random() < 0.5:
        run.timeline.fault("a member dies", f"({leaving.name})")
        await leaving.end()
    else:
        run.timeline.fault("a member leaves", f"({leaving.name})")
        await leaving.stop()


async def _freeze(run: Run) -> None:
    """Let a worker stand still in the middle of an upload, for less and for more than its session, and go on."""
    async with load(run.clients, PER_SECOND):
        for number in range(run.count):
            worker = run.rig.of("aggregator")[number % 2]
            step = UPLOADING[number % len(UPLOADING)]
            worker.next_environment = partial(_armed, step)
            worker.kill()
            await _pause(run, worker, SESSIONS[number % len(SESSIONS)] * SESSION_S)
            worker.next_environment = lambda _: {}
    await asyncio.gather(*(child.ready() for child in run.rig.children))


def _armed(step: str, _: Child) -> dict[str, str]:
    return {"EXHAUST_FAILPOINTS": step}


async def _pause(run: Run, worker: Child, seconds: float) -> None:
    deadline = time.monotonic() + PAUSES_WITHIN_S
    killed = worker.pid
    while time.monotonic() < deadline:
        await run.rig.raw.add_large_day()
        for _ in range(2):
            run.clients.begin(run.rig.raw.ask_large(), keyed=True)
        for _ in range(20):
            await asyncio.sleep(0.1)
            if worker.pid != killed and _state(worker.pid) == "T":
                run.timeline.fault(f"freeze while uploading for {seconds / SESSION_S:g} sessions", f"({worker.name})")
                await asyncio.sleep(seconds)
                os.kill(worker.pid, signal.SIGCONT)
                return


def _state(pid: int) -> str:
    """Return the state of a process, as proc(5) writes it; T is stopped."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


async def _play_freezes(run: Run) -> None:
    used = SESSIONS[: run.count]
    run.timeline.due |= {f"freeze while uploading for {sessions:g} sessions" for sessions in used}
    await _freeze(run)


MEMBERS: Final = Scenario("members", _churn, short=1, long=10)
FREEZES: Final = Scenario("freezes", _play_freezes, short=6, long=30)
