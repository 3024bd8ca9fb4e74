"""The estimate of a request: its forecast in seconds (eta.py), and how large its download will be."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.status.day_records import DayRecord
    from services.status.eta import Remaining

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


def in_seconds(remaining: Remaining) -> Range:
    """Return a forecast in whole seconds, which hold it."""
    least = math.floor(remaining.least.total_seconds())
    return Range(least, max(math.ceil(remaining.most.total_seconds()), least + 1))


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
