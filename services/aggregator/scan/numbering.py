"""Number: which lines of an object those are of which only the place is known.

A search for bytes need not know where lines end, so it does not count them. Only when it finds a line that cannot be
read, which is rare, the object is read once more for the number of that line.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from services.aggregator.scan.inflating import Inflater
from services.aggregator.scan.size_guard import Gauge
from services.aggregator.scan.source_scan import Ready

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from services.aggregator.scan.size_guard import Limits


@dataclass(frozen=True, slots=True)
class NumberOrder:
    """Lines to be numbered.

    Attributes:
        name: the object's key, for errors.
        offsets: inflated bytes before each line.
    """

    name: str
    limits: Limits
    offsets: Sequence[int]


class LineNumbering:
    """Reads one object and counts its lines up to each place."""

    def __init__(self, order: NumberOrder) -> None:
        self._inflater = Inflater(order.name, Gauge(order.name, order.limits))
        self._wanted = deque(sorted(set(order.offsets)))
        self._before = 0
        self._newlines = 0
        self._numbers: dict[int, int] = {}

    def feed(self, chunk: bytes) -> Ready:
        """Take the next stored bytes.

        Raises:
            SourceObjectError: the object cannot be read.
        """
        return self._count(self._inflater.feed(chunk))

    def finish(self) -> tuple[Ready, dict[int, int]]:
        """For each offset the number of its line, from 1."""
        return self._count(self._inflater.finish()), self._numbers

    def _count(self, pieces: Iterable[bytes]) -> Ready:
        for piece in pieces:
            while self._wanted and self._wanted[0] < self._before + len(piece):
                offset = self._wanted.popleft()
                self._numbers[offset] = self._newlines + piece.count(b"\n", 0, offset - self._before) + 1
            self._newlines += piece.count(b"\n") if self._wanted else 0
            self._before += len(piece)
        return Ready(())
