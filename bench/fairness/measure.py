"""The time of a partner's one-day requests, alone, and while another partner has 300 requests in the queue.

Beside them stands what the machine itself allows: the time while as many processes as it has cores only count, as
politely as scan workers do. What that costs no order of work can give back.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from statistics import median
from typing import TYPE_CHECKING, Final

from bench.bars import Bar, at_most
from bench.errors import BenchError
from bench.progress import report_progress

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import date

    from bench.fairness.testbed import Testbed

FLOOD: Final = 300
ROUNDS: Final = 5
REQUESTS: Final = 3  # a round
MOST_SLOWDOWN: Final = 1.5
LONGEST: Final = 4  # days of a request of the flood
_SEED: Final = 22


@dataclass(slots=True)
class FairnessResult:
    """The seconds of the modest partner's one-day requests, a figure for each round."""

    alone: list[float] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)
    beside: list[float] = field(default_factory=list)

    def bars(self) -> list[Bar]:
        """Return the slowdown with its limit, the median over the rounds, so that noise hits both alike."""
        alone, beside = median(self.alone) * 1000, median(self.beside) * 1000
        told = f"one-day request: {alone:.0f} ms alone, {beside:.0f} ms beside {FLOOD} requests of another partner"
        slowdown = median(crowded / quiet for quiet, crowded in zip(self.alone, self.beside, strict=True))
        floor = median(busy / quiet for quiet, busy in zip(self.alone, self.busy, strict=True))
        told += f" ({floor:.2f} x beside processes that only count)"
        return [at_most(told, slowdown, MOST_SLOWDOWN, "x")]


async def measure_fairness(testbed: Testbed) -> FairnessResult:
    """Measure in turns, alone and beside the flood.

    Raises:
        BenchError: the flood was over before the last request of a round.
    """
    random = Random(_SEED)
    await _seconds(testbed, random)
    result = FairnessResult()
    for _ in range(ROUNDS):
        result.alone.append(await _seconds(testbed, random))
        async with _busy_cores():
            result.busy.append(await _seconds(testbed, random))
        await asyncio.gather(*(_flood(testbed, random) for _ in range(FLOOD)))
        result.beside.append(await _seconds(testbed, random))
        left = await testbed.end_flood()
        if not left:
            raise BenchError("all requests of the flood were released before the last measurement")
        report_progress(
            f"{result.alone[-1] * 1000:.0f} ms alone, {result.busy[-1] * 1000:.0f} ms beside busy cores,"
            f" {result.beside[-1] * 1000:.0f} ms beside {left} that still wait"
        )
    return result


@asynccontextmanager
async def _busy_cores() -> AsyncIterator[None]:
    """Keep all cores busy, at the priority of scan workers."""
    program = (sys.executable, "-c", "import os\nos.nice(5)\nwhile True: pass")
    busy = [await asyncio.create_subprocess_exec(*program) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
        await asyncio.gather(*(process.wait() for process in busy))


async def _flood(testbed: Testbed, random: Random) -> None:
    length = random.randint(1, LONGEST)
    first = random.randrange(len(testbed.days) - length + 1)
    await testbed.flooding.submit(testbed.days[first], testbed.days[first + length - 1])


async def _seconds(testbed: Testbed, random: Random) -> float:
    return median([await _one_day(testbed, random.choice(testbed.days)) for _ in range(REQUESTS)])


async def _one_day(testbed: Testbed, day: date) -> float:
    started = time.perf_counter()
    request_id = await testbed.modest.submit(day, day)
    await testbed.modest.finish(request_id)
    return time.perf_counter() - started
