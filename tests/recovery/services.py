"""Services that are killed, or stand still."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.recovery.figures import Figure, by_number
from tests.recovery.load import Load, flows_again, load
from tests.recovery.servers import ended_well
from tests.recovery.testbed import PLAN, until

if TYPE_CHECKING:
    from tests.recovery.testbed import Testbed

TAKEN_UP_BAR_S: Final = 60.0
FLOWS_BAR_S: Final = 15.0
REQUESTS: Final = 6  # of all days each, so that both aggregators have much in hand
STILL_S: Final = 30.0
_ALL_PARTITIONS: Final = 12.0
_DAYS_TOPIC: Final = 'exhaust_partitions{topic="dataset.days"}'


async def aggregator_killed(bed: Testbed) -> list[Figure]:
    """One of two aggregators is killed in the middle of its days, and nobody starts another."""
    made = await _at_work(bed)
    began = time.monotonic()
    await bed.others["aggregator-2"].kill()
    return await _taken_over(bed, made, began)


async def aggregator_frozen(bed: Testbed) -> list[Figure]:
    """One of two aggregators stands still for three sessions, and then goes on."""
    made = await _at_work(bed)
    began = time.monotonic()
    process = bed.others["aggregator-2"].process
    process.send_signal(signal.SIGSTOP)
    try:
        figures = await _taken_over(bed, made, began)
        await asyncio.sleep(max(0.0, STILL_S - (time.monotonic() - began)))
    finally:
        process.send_signal(signal.SIGCONT)
    back = await until(lambda: _shares(bed))
    states = await bed.states(made.accepted)
    return [
        *figures,
        Figure("from its going on until it has partitions again", back),
        Figure("requests after it had gone on", by_number(states)),
    ]


async def aggregator_restarted(bed: Testbed) -> list[Figure]:
    """The only aggregator is killed and started again at once, as a supervisor does it."""
    assert await bed.others["aggregator-2"].stop() == 0
    del bed.logs["aggregator-2"], bed.others["aggregator-2"]
    made = Load(bed)
    bed.mark_logs()
    for _ in range(REQUESTS):
        await made.submit(PLAN.days[0], PLAN.days[-1])
    await until(lambda: _is_busy(bed, "aggregator"))
    began = time.monotonic()
    os.kill(bed.stack.processes["aggregator"], signal.SIGKILL)
    await bed.restart()
    ready = time.monotonic() - began
    figures = await _taken_over(bed, made, began)
    return [Figure("from its end until the next is ready", ready), *figures]


async def _at_work(bed: Testbed) -> Load:
    """Give both aggregators days to work on."""
    await until(lambda: _shares(bed))
    made = Load(bed)
    bed.mark_logs()
    for _ in range(REQUESTS):
        await made.submit(PLAN.days[0], PLAN.days[-1])
    await until(lambda: _is_busy(bed, "aggregator-2"))
    return made


async def _shares(bed: Testbed) -> bool:
    """True when each of both has partitions; one that stood still may say so of what it has lost."""
    one, other = [await bed.metric(name, _DAYS_TOPIC) for name in ("aggregator", "aggregator-2")]
    return min(one, other) > 0 and one + other == _ALL_PARTITIONS


async def _is_busy(bed: Testbed, name: str) -> bool:
    return bed.logs[name].has("day.finished")


async def _taken_over(bed: Testbed, made: Load, began: float) -> list[Figure]:
    async def all_partitions() -> bool:
        return await bed.metric("aggregator", _DAYS_TOPIC) == _ALL_PARTITIONS

    await until(all_partitions)
    has_all = time.monotonic() - began
    await made.all_complete()
    complete = time.monotonic() - began
    days = REQUESTS * len(PLAN.days)
    built = await bed.metric("aggregator", 'exhaust_days_total{outcome="built"')
    reused = await bed.metric("aggregator", 'exhaust_days_total{outcome="reused"')
    return [
        Figure("from its end until another has all partitions", has_all, TAKEN_UP_BAR_S),
        Figure(
            f"from its end until all {days} days are built and {REQUESTS} requests complete", complete, TAKEN_UP_BAR_S
        ),
        Figure("of these days, built and found built by the other", f"{built:.0f} and {reused:.0f}"),
        *await ended_well(bed, made),
    ]


async def gateway_killed(bed: Testbed) -> list[Figure]:
    """One of two gateways is killed; callers go to the other."""
    other = f"http://127.0.0.1:{bed.others['gateway-2'].port}"
    bed.mark_logs()
    async with load(bed) as made, load(bed, other) as spared:
        await asyncio.sleep(3)
        os.kill(bed.stack.processes["gateway"], signal.SIGKILL)
        flowing = await flows_again(bed, other)
        began = time.monotonic()
        await bed.restart()
        ready = time.monotonic() - began
    made.accepted += spared.accepted
    complete = await made.all_complete()
    return [
        Figure("from its end until a request of the other gateway is complete", flowing, FLOWS_BAR_S),
        Figure("its start, until it is ready", ready),
        Figure("from the last submit until all that was accepted is complete", complete),
        Figure("submits at the killed one", made.told()),
        Figure("submits at the other", spared.told()),
        *await ended_well(bed, made),
    ]


async def gateway_frozen(bed: Testbed) -> list[Figure]:
    """One of two gateways stands still."""
    other = f"http://127.0.0.1:{bed.others['gateway-2'].port}"
    bed.mark_logs()
    process = bed.stack.processes["gateway"]
    async with load(bed) as made:
        await asyncio.sleep(3)
        os.kill(process, signal.SIGSTOP)
        try:
            flowing = await flows_again(bed, other)
            complete = await made.all_complete(within=60)
        finally:
            os.kill(process, signal.SIGCONT)
        ready = await until(lambda: bed.is_ready("gateway"))
    await made.all_complete()
    return [
        Figure("from then until a request of the other gateway is complete", flowing, FLOWS_BAR_S),
        Figure(
            "until all that the frozen one had accepted is complete, without it", flowing + complete, TAKEN_UP_BAR_S
        ),
        Figure("from its going on until it is ready", ready),
        *await ended_well(bed, made),
    ]


async def status_killed(bed: Testbed) -> list[Figure]:
    """The only status service is killed, and started again after ten seconds."""
    bed.mark_logs()
    async with load(bed) as made:
        await asyncio.sleep(3)
        os.kill(bed.stack.processes["status"], signal.SIGKILL)
        asked = await _ask(bed, made)
        await asyncio.sleep(10)
        await bed.restart()
        flowing = await flows_again(bed)
    complete = await made.all_complete()
    return [
        Figure("the answer to a status call meanwhile", asked),
        Figure("from its return until a request that is submitted then is complete", flowing, FLOWS_BAR_S),
        Figure("from the last submit until all that was accepted is complete", complete),
        Figure("submits while it was away and after", made.told()),
        *await ended_well(bed, made),
    ]


async def status_frozen(bed: Testbed) -> list[Figure]:
    """The only status service stands still for three sessions."""
    bed.mark_logs()
    process = bed.stack.processes["status"]
    async with load(bed) as made:
        await asyncio.sleep(3)
        os.kill(process, signal.SIGSTOP)
        try:
            asked = await _ask(bed, made)
            await asyncio.sleep(STILL_S)
        finally:
            os.kill(process, signal.SIGCONT)
        flowing = await flows_again(bed)
    complete = await made.all_complete()
    return [
        Figure("the answer to a status call meanwhile", asked),
        Figure("from its going on until a request that is submitted then is complete", flowing, FLOWS_BAR_S),
        Figure("from the last submit until all that was accepted is complete", complete),
        Figure("submits meanwhile and after", made.told()),
        *await ended_well(bed, made),
    ]


async def _ask(bed: Testbed, made: Load) -> str:
    began = time.monotonic()
    reply = await bed.partner.status(made.accepted[0])
    return f"{reply.status} {reply.body['params']['err'] or ''} after {time.monotonic() - began:.1f} s"


async def scan_process_frozen(bed: Testbed) -> list[Figure]:
    """One scan process of the only aggregator stands still in the middle of a day."""
    assert await bed.others["aggregator-2"].stop() == 0
    del bed.logs["aggregator-2"], bed.others["aggregator-2"]
    scan = await asyncio.to_thread(_scan_processes, bed.stack.processes["aggregator"])
    bed.mark_logs()
    os.kill(scan[0], signal.SIGSTOP)
    began = time.monotonic()
    async with load(bed) as made:
        await asyncio.sleep(STILL_S / 2)
    await made.all_complete()
    complete = time.monotonic() - began
    left = await asyncio.to_thread(_scan_processes, bed.stack.processes["aggregator"])
    return [
        Figure("from then until all requests are complete", complete, TAKEN_UP_BAR_S),
        Figure("the process that stood still", "was replaced" if scan[0] not in left else "is still there"),
        *await ended_well(bed, made),
    ]


def _scan_processes(aggregator: int) -> list[int]:
    children = Path(f"/proc/{aggregator}/task/{aggregator}/children").read_text().split()
    return [int(pid) for pid in children if b"worker_process" in Path(f"/proc/{pid}/cmdline").read_bytes()]
