"""Servers that are killed, frozen, and come back."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import time
from collections import Counter
from typing import TYPE_CHECKING, Final

from tests.recovery.figures import Figure, by_number
from tests.recovery.load import Load, flows_again, load
from tests.recovery.logs import OF_DRIVERS, WARNINGS
from tests.recovery.testbed import until
from tests.support.frozen import frozen

if TYPE_CHECKING:
    from tests.recovery.testbed import Testbed

AWAY_S: Final = 30.0
BAR_S: Final = 15.0
_WARM_S: Final = 3.0
_NOTICED_WITHIN_S: Final = 150.0


async def kafka_killed(bed: Testbed) -> list[Figure]:
    """Kafka is killed and started again."""
    return await _server(bed, "kafka", freeze=False)


async def postgres_killed(bed: Testbed) -> list[Figure]:
    """PostgreSQL stops at once, and recovers at its start."""
    return await _server(bed, "postgres", freeze=False)


async def postgres_frozen(bed: Testbed) -> list[Figure]:
    """PostgreSQL takes connections and answers nothing."""
    return await _server(bed, "postgres", freeze=True)


async def s3_killed(bed: Testbed) -> list[Figure]:
    """The store is killed and started again."""
    return await _server(bed, "seaweedfs", freeze=False)


async def s3_frozen(bed: Testbed) -> list[Figure]:
    """The store takes connections and answers nothing."""
    return await _server(bed, "seaweedfs", freeze=True)


async def kafka_frozen(bed: Testbed) -> list[Figure]:
    """Kafka stands still for three sessions, and a member is killed meanwhile."""
    lost = bed.others["aggregator-2"]

    async def member_dies() -> None:
        await asyncio.sleep(AWAY_S / 3)
        await lost.kill()

    dying = asyncio.create_task(member_dies())
    figures = await _server(bed, "kafka", freeze=True)
    await dying
    resets = 0.0
    for name in ("aggregator", "status"):
        resets += await bed.metric(name, "exhaust_offset_resets_total")
    return [*figures, Figure("groups that were read from another offset", f"{resets:.0f}")]


async def _server(bed: Testbed, process: str, *, freeze: bool) -> list[Figure]:
    async with load(bed) as made:
        await asyncio.sleep(_WARM_S)
        bed.mark_logs()
        watching = asyncio.create_task(_unready(bed))
        pid = bed.stack.processes[process]
        if freeze:
            with frozen(pid):
                await asyncio.sleep(AWAY_S)
        else:
            os.kill(pid, signal.SIGQUIT if process == "postgres" else signal.SIGKILL)
            await asyncio.sleep(AWAY_S)
            await bed.restart(services=False)
        flowing = await flows_again(bed)
        all_ready = await until(lambda: _all_ready(bed))
        watching.cancel()
    completed = await made.all_complete()
    return [
        Figure("from its return until a request that is submitted then is complete", flowing, BAR_S),
        Figure("from then until every process is ready", all_ready),
        Figure("from the last submit until all that was accepted is complete", completed),
        Figure("submits while it was away and after", made.told()),
        Figure("the slowest of them", made.slowest),
        Figure("not ready", await _words(watching)),
        *await ended_well(bed, made),
    ]


async def ended_well(bed: Testbed, made: Load) -> list[Figure]:
    """What became of the requests, and what the logs hold."""
    letters = 0.0
    for name in bed.logs:
        if name.startswith(("aggregator", "status")) and await bed.is_ready(name):
            letters += await bed.metric(name, "exhaust_dead_letters_total")
    return [
        Figure(
            "requests accepted, and what became of them",
            f"{len(made.accepted)}: {by_number(await bed.states(made.accepted))}",
        ),
        Figure("dead letters", f"{letters:.0f}"),
        Figure("log lines, and in parentheses those that warn", bed.log_lines()),
        Figure("warnings in them", _warnings(bed)),
    ]


def _warnings(bed: Testbed) -> str:
    """The events that warn; those of drivers, which are sentences, in one number."""
    seen: Counter[str] = Counter()
    for log in bed.logs.values():
        for event, number in log.events(*WARNINGS).items():
            seen[event if event == OF_DRIVERS else f"`{event}`"] += number
    return by_number(dict(seen.most_common())) or "none"


async def _all_ready(bed: Testbed) -> bool:
    alive = [name for name, other in bed.others.items() if other.process.returncode is None]
    names = ["gateway", "aggregator", "status", *alive]
    return all(await asyncio.gather(*(bed.is_ready(name) for name in names)))


async def _unready(bed: Testbed) -> dict[str, float]:
    """Until it is cancelled, note after how many seconds each process was first not ready."""
    began, first = time.monotonic(), dict[str, float]()

    async def watch(name: str) -> None:
        for pause in itertools.repeat(0.2):
            if not await bed.is_ready(name):
                first[name] = time.monotonic() - began
                return
            await asyncio.sleep(pause)

    watching = [asyncio.create_task(watch(name)) for name in ("gateway", "aggregator", "status")]
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        for task in watching:
            task.cancel()
    return first


async def _words(watching: asyncio.Task[dict[str, float]]) -> str:
    first = await watching
    return ", ".join(f"{name} after {seconds:.1f} s" for name, seconds in first.items()) or "nobody"
