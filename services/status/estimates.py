"""The estimate of a request: how long it will take, and how large its download will be."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exhaust.postgres.asked_days import Duration
    from services.status.day_records import DayRecord

LEAST_SAMPLES: Final = 5  # fewer say nothing
# At most, in a download beside its days: zip headers, and what the manifest says of a day and of each of its sources.
_FRAME_OF_A_DAY: Final = 2048
_FRAME_OF_A_SOURCE: Final = 512


@dataclass(frozen=True, slots=True)
class Range:
    """A range that the truth lies in most of the time."""

    least: int
    most: int

    def to_json(self) -> dict[str, int]:
        """Return it as answers show it."""
        return {"least": self.least, "most": self.most}


def estimated_seconds(durations: Sequence[Duration], days: int, to_build: int) -> Range | None:
    """Return the seconds that a request will take; None while too few requests have told.

    Args:
        durations: of the latest requests for the dataset, of which some were built and some found.
        days: of the request.
        to_build: those of them whose archive is not there.
    """
    if len(durations) < LEAST_SAMPLES:
        return None
    low, high = _ends([duration.seconds for duration in durations])
    if not to_build:
        return Range(0, max(1, math.ceil(low)))
    low_day, high_day = _ends([duration.seconds / max(duration.days, 1) for duration in durations])
    # Days are built side by side or one after another, as there are workers.
    return Range(math.floor(min(low, low_day * to_build)), max(1, math.ceil(max(high, high_day * days))))


def estimated_bytes(built: Sequence[DayRecord], to_build: int, samples: Sequence[DayRecord]) -> Range | None:
    """Return the size of a download; None when no day of the resource tells how large the others are.

    Args:
        built: the days of the request whose archive is there.
        to_build: days without one.
        samples: days of the same resource.
    """
    if to_build and not samples:
        return None
    sizes = [record.size for record in samples]
    frames = [_FRAME_OF_A_DAY + _FRAME_OF_A_SOURCE * record.sources for record in (*built, *samples)]
    known = sum(record.size for record in built)
    least = known + to_build * (min(sizes) // 2 if to_build else 0)
    most = known + to_build * (max(sizes) * 2 if to_build else 0)
    return Range(least, most + max(frames, default=0) * (len(built) + to_build))


def _ends(values: Sequence[float]) -> tuple[float, float]:
    """Return the values that a tenth lies below, and above."""
    ordered = sorted(values)
    last = len(ordered) - 1
    return ordered[math.floor(last * 0.1)], ordered[math.ceil(last * 0.9)]
