"""The work that this aggregator has in hand, and how far it is: for operators, who have to tell slow from stuck."""

from __future__ import annotations

import time
from collections import deque
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from schemas.events import DayInHand

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from schemas.events import DayRequested

LAST_DAYS: Final = 200
PERCENTILE: Final = 0.95


class WorkInHand:
    """The days in hand, the stored bytes that were read, and how long the last days took."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.bytes_read = 0
        self._clock = clock
        self._days: dict[object, DayInHand] = {}
        self._seconds: deque[float] = deque(maxlen=LAST_DAYS)

    @property
    def days(self) -> tuple[DayInHand, ...]:
        """The days in hand, the oldest first."""
        return tuple(self._days.values())

    @property
    def day_p95(self) -> float | None:
        """The 95th percentile of the seconds that the last days took; None before the first."""
        if not self._seconds:
            return None
        return sorted(self._seconds)[int((len(self._seconds) - 1) * PERCENTILE)]

    def count_read(self, size: int) -> None:
        """Count stored bytes of a raw object, as they are read."""
        self.bytes_read += size

    @contextmanager
    def holding(self, request: DayRequested) -> Iterator[None]:
        """Have a day in hand for the time of the block."""
        token = object()
        self._days[token] = DayInHand(
            requestid=request.requestid, datasetid=request.datasetid, day=request.day, since=datetime.now(UTC)
        )
        try:
            yield
        finally:
            del self._days[token]

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Take the time of a day that is found or built in the block; one that fails has none."""
        began = self._clock()
        yield
        self._seconds.append(self._clock() - began)
