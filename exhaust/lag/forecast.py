"""The forecast of when a stage has nothing left to do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exhaust.lag.stages import StageSample

# The speed is taken over each of these times before now: the slowest and the fastest of them bound the forecast.
WINDOWS: Final = (
    timedelta(seconds=5),
    timedelta(seconds=15),
    timedelta(seconds=30),
    timedelta(minutes=1),
    timedelta(minutes=5),
)
# The past is no promise: work ahead may be this much harder or easier than what was just done.
MARGIN: Final = 1.5


@dataclass(frozen=True, slots=True)
class DrainRange:
    """The time until a stage is empty, if it goes on as before: between the two."""

    least: timedelta
    most: timedelta


def drains_in(history: Sequence[StageSample]) -> DrainRange | None:
    """Forecast when a stage is empty.

    Args:
        history: samples of one stage, oldest first.

    Returns:
        None when nothing waits, or when what waits did not shrink.
    """
    if not history or not waiting(history[-1]):
        return None
    speeds = [speed for window in WINDOWS if (speed := _speed(history, window)) is not None and speed > 0]
    if not speeds:
        return None
    left = waiting(history[-1])
    return DrainRange(timedelta(seconds=left / (max(speeds) * MARGIN)), timedelta(seconds=left * MARGIN / min(speeds)))


def waiting(sample: StageSample) -> int:
    """Return what waits: days of work where the stage has them, else messages."""
    return sample.messages if sample.work_days is None else sample.work_days


def growth(history: Sequence[StageSample], over: timedelta) -> int | None:
    """Return by how much the waiting work grew in a time before now; None when the history is shorter than that."""
    earlier = _before(history, over)
    return None if earlier is None else waiting(history[-1]) - waiting(earlier)


def _speed(history: Sequence[StageSample], window: timedelta) -> float | None:
    """Return by how much a second the waiting work shrank."""
    earlier = _before(history, window)
    if earlier is None:
        return None
    seconds = (history[-1].at - earlier.at).total_seconds()
    return (waiting(earlier) - waiting(history[-1])) / seconds if seconds > 0 else None


def _before(history: Sequence[StageSample], over: timedelta) -> StageSample | None:
    """Return the latest sample that is at least so much older than the last one."""
    old = [sample for sample in history if history[-1].at - sample.at >= over]
    return old[-1] if old else None
