"""The time from a call to the complete archive of a day that was never built, in the shared layout: v1 beside v2.

The call of v1 carries the hash of an owner alone, and the grant of its caller the plain id; a submit of v2 carries the
plain id itself. So both look for the same text in the lines, and should take the same time.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from random import Random
from statistics import median
from typing import TYPE_CHECKING, Final

from bench.bars import Bar, Pairs, at_most
from bench.progress import report_progress

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from datetime import date

    from bench.fairness.testbed import Partner, Testbed

DAYS: Final = 26
EVENTS_PER_DAY: Final = 30_000
WARM_UP: Final = 2  # rounds; the first days of a worker are slower
MOST_LONGER: Final = 1.1
_SEED: Final = 24


@dataclass(slots=True)
class BothResult:
    """The seconds of days that were not built, by each way, a figure for each round."""

    by_hash: list[float] = field(default_factory=list)
    by_plain_id: list[float] = field(default_factory=list)

    def bars(self) -> list[Bar]:
        """Return how much longer the way by the hash takes, with its limit; each round compares its own two days."""
        longer = Pairs(tuple(self.by_plain_id), tuple(self.by_hash)).times_faster
        told = (
            f"a cold day, median of {len(self.by_hash)}: {median(self.by_hash) * 1000:.0f} ms by hash (v1),"
            f" {median(self.by_plain_id) * 1000:.0f} ms by plain id (v2)"
        )
        return [at_most(told, longer, MOST_LONGER, "x")]


async def measure_both(testbed: Testbed) -> BothResult:
    """Build days of both partners, one day of each in turn, the one or the other way first.

    Raises:
        BenchError: a call was refused, or a request failed.
    """
    random = Random(_SEED)
    result = BothResult()
    for number, partner in enumerate([testbed.flooding, testbed.modest] * (DAYS // 2)):
        one, other = testbed.days[number // 2 * 2 : number // 2 * 2 + 2]
        calls = [(result.by_hash, partner.download(one, one)), (result.by_plain_id, _by_plain_id(partner, other))]
        random.shuffle(calls)
        for seconds, call in calls:
            seconds.append(await _seconds(call))
        report_progress(
            f"{result.by_hash[-1] * 1000:.0f} ms by hash, {result.by_plain_id[-1] * 1000:.0f} ms by plain id"
        )
    return BothResult(result.by_hash[WARM_UP:], result.by_plain_id[WARM_UP:])


async def _by_plain_id(partner: Partner, day: date) -> None:
    await partner.finish(await partner.submit(day, day, tagged=False))


async def _seconds(call: Awaitable[None]) -> float:
    started = time.perf_counter()
    await call
    return time.perf_counter() - started
