"""An hour of mixed load with a fault a minute: what the processes hold must not grow."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import defaultdict
from statistics import median
from typing import TYPE_CHECKING, Final

from deploy.local import kafka, postgres
from tests.chaos.checks.processes import measure
from tests.chaos.clients import load
from tests.chaos.scenario import Scenario
from tests.chaos.scenarios.failpoints import settle, spice
from tests.chaos.scenarios.kills import flows_again

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.chaos.scenario import Run

PER_SECOND: Final = 2.0
MINUTE_S: Final = 60.0
FROZEN_S: Final = 5.0
# Between the medians of the second and the last quarter, where a process is warm in both.
GROWTH: Final = 0.05
LEAST_SAMPLES: Final = 16
_TABLES: Final = """
SELECT table_name::text AS name FROM information_schema.tables
WHERE table_schema = 'public' AND table_type = 'BASE TABLE'
"""


async def _play(run: Run) -> None:
    run.timeline.due |= {"kill a service"} if run.count >= len(_FAULTS) else set()
    samples: defaultdict[str, list[int]] = defaultdict(list)
    spicing = asyncio.create_task(spice(run))
    async with load(run.clients, PER_SECOND):
        for minute in range(run.count):
            due = asyncio.get_running_loop().time() + MINUTE_S
            await _FAULTS[minute % len(_FAULTS)](run)
            await flows_again(run)
            await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))
            for name, usage in (await measure(run.rig)).items():
                for what in ("memory", "descriptors", "tasks", "threads"):
                    samples[f"{what} of {name}"].append(getattr(usage, what))
            for table, rows in (await _rows_a_request(run)).items():
                samples[f"rows of {table} for 1,000 requests"].append(rows)
    spicing.cancel()
    await asyncio.gather(spicing, return_exceptions=True)
    await settle(run)
    for what, values in samples.items():
        _judge_growth(run, what, values)


def _judge_growth(run: Run, what: str, values: list[int]) -> None:
    quarter = len(values) // 4
    if len(values) < LEAST_SAMPLES:
        return
    early, late = median(values[quarter : 2 * quarter]), median(values[-quarter:])
    run.timeline.note(f"{what}: {early:.0f}, then {late:.0f}")
    if late > early * (1 + GROWTH) + 2:
        run.timeline.wrong.append(f"{what} grew from {early:.0f} to {late:.0f}")


async def _rows_a_request(run: Run) -> dict[str, int]:
    """Count the rows of each table for 1,000 requests, since requests themselves are kept for days."""
    tables = [row["name"] for row in await run.rig.database.fetch(_TABLES)]
    counts = {table: await run.rig.database.fetchval(f'SELECT count(*) FROM "{table}"') for table in tables}
    return {table: round(1000 * rows / max(counts["requests"], 1)) for table, rows in counts.items()}


async def _kill(run: Run) -> None:
    child = run.random.choice(run.rig.children)
    child.kill()
    run.timeline.fault("kill a service", f"({child.name})")
    await asyncio.sleep(1)
    await child.ready()


async def _freeze(run: Run) -> None:
    child = run.random.choice(run.rig.children)
    os.kill(child.pid, signal.SIGSTOP)
    run.timeline.fault("freeze a service", f"({child.name})")
    await asyncio.sleep(FROZEN_S)
    os.kill(child.pid, signal.SIGCONT)


async def _stop_postgres(run: Run) -> None:
    os.kill(run.rig.server_pid(postgres.NAME), signal.SIGQUIT)
    run.timeline.fault("stop postgres at once")
    await asyncio.sleep(1)
    await run.rig.start_servers()


async def _kill_kafka(run: Run) -> None:
    os.kill(run.rig.server_pid(kafka.NAME), signal.SIGKILL)
    run.timeline.fault("kill kafka")
    await asyncio.sleep(1)
    await run.rig.start_servers()


async def _reset_everything(run: Run) -> None:
    for proxy in (run.rig.kafka_proxy, run.rig.postgres_proxy, run.rig.s3_proxy):
        if proxy is not None:
            proxy.reset_all()


_FAULTS: Final[tuple[Callable[[Run], Awaitable[None]], ...]] = (
    *(_kill, _freeze, _reset_everything, _kill, _stop_postgres, _reset_everything, _kill, _kill_kafka),
)

SOAK: Final = Scenario("soak", _play, short=2, long=60, proxied=("kafka", "postgres", "seaweedfs"))
