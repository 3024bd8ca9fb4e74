"""The forecast of when nothing is left to do, from how the work that waits has shrunk."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from exhaust.lag.stages import StageSample

# The speed is taken since the work was most, and over those of these times before now that are shorter: the slowest and
# the fastest of them bound the forecast.
WINDOWS: Final = (timedelta(seconds=15), timedelta(seconds=30), timedelta(minutes=1), timedelta(minutes=5))
# Sooner after work was most, its speed says little: readers have just come, or had not come in half of the time.
SETTLED: Final = timedelta(seconds=10)
# A rate is shown over so long, and not over less than the least.
RATE_OVER: Final = timedelta(minutes=5)
LEAST_RATE_OVER: Final = timedelta(seconds=30)
# The past is no promise: work ahead may be this much harder or easier than what was just done.
MARGIN: Final = 2.0


@dataclass(frozen=True, slots=True)
class Point:
    """The work that waited at a time."""

    at: datetime
    waiting: int


@dataclass(frozen=True, slots=True)
class DrainRange:
    """The time until nothing waits, if it goes on as before: between the two."""

    least: timedelta
    most: timedelta


def points(history: Sequence[StageSample]) -> list[Point]:
    """Return what waited in a stage: days of work where the stage has them, else messages."""
    return [Point(sample.at, waiting(sample)) for sample in history]


def sums(histories: Iterable[Sequence[StageSample]]) -> list[Point]:
    """Return the days of work that waited in several stages together, at the times at which all of them were seen.

    Work that moves from one stage to the next is not done; it is when it leaves the last one.
    """
    days: Counter[datetime] = Counter()
    seen: Counter[datetime] = Counter()
    stages = 0
    for history in histories:
        stages += 1
        for sample in history:
            days[sample.at] += sample.work_days or 0
            seen[sample.at] += 1
    return [Point(at, days[at]) for at in sorted(seen) if seen[at] == stages]


def drains_in(history: Sequence[Point]) -> DrainRange | None:
    """Forecast when nothing waits any more.

    Args:
        history: oldest first.

    Returns:
        None when nothing waits, when it does not shrink, or has only just begun to.
    """
    backlog = _since_nothing_waited(history)
    if not backlog:
        return None
    last = backlog[-1]
    most = max(backlog, key=lambda point: (point.waiting, point.at))
    if last.at - most.at < SETTLED:
        return None
    windows = (_before(backlog, window) for window in WINDOWS if window <= last.at - most.at)
    speeds = [_speed(earlier, last) for earlier in (*windows, most) if earlier is not None]
    shrinking = [speed for speed in speeds if speed > 0]
    if not shrinking or speeds[0] < 0:  # of the shortest time
        return None
    fastest, slowest = max(shrinking) * MARGIN, min(shrinking) / MARGIN
    return DrainRange(timedelta(seconds=last.waiting / fastest), timedelta(seconds=last.waiting / slowest))


def waiting(sample: StageSample) -> int:
    """Return what waits in a stage: days of work where the stage has them, else messages."""
    return sample.messages if sample.work_days is None else sample.work_days


def growth(history: Sequence[StageSample], over: timedelta) -> int | None:
    """Return by how much the waiting work grew in a time before now; None when the history is shorter than that."""
    series = points(history)
    earlier = _before(series, over)
    return None if earlier is None else series[-1].waiting - earlier.waiting


def done_per_minute(history: Sequence[StageSample]) -> float | None:
    """Return what a stage finished a minute over RATE_OVER before now; None when it was not watched long enough."""
    last = history[-1]
    first = next(sample for sample in history if last.at - sample.at <= RATE_OVER)
    watched = last.at - first.at
    if watched < LEAST_RATE_OVER:
        return None
    return round((last.done - first.done) / (watched / timedelta(minutes=1)), 2)


def _since_nothing_waited(history: Sequence[Point]) -> list[Point]:
    """Return the points after the last one at which nothing waited, since what was done before is another backlog."""
    empty = [number for number, point in enumerate(history) if not point.waiting]
    return list(history[empty[-1] + 1 :] if empty else history)


def _speed(earlier: Point, later: Point) -> float:
    """Return by how much a second the waiting work shrank."""
    return (earlier.waiting - later.waiting) / (later.at - earlier.at).total_seconds()


def _before(history: Sequence[Point], over: timedelta) -> Point | None:
    """Return the latest point that is at least so much older than the last one."""
    old = [point for point in history if history[-1].at - point.at >= over]
    return old[-1] if old else None
