"""The numbers of lines of which only the offsets are known.

The line prefilter does not look at every line, so it cannot count them. When it finds a line that cannot be read, which
is rare, the object is read once more for the number of that line.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from services.aggregator.scan.inflater import Inflater
from services.aggregator.scan.size_guard import SizeGuard
from services.aggregator.scan.source_scan import ScanOutput

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from services.aggregator.scan.size_guard import SourceLimits


@dataclass(frozen=True, slots=True)
class LineNumberJob:
    """Lines of one object to be numbered.

    Attributes:
        name: the object's key, for errors.
        offsets: inflated bytes before each line.
    """

    name: str
    limits: SourceLimits
    offsets: Sequence[int]


class LineNumberFinder:
    """The reading of one object that counts its lines up to each offset."""

    def __init__(self, job: LineNumberJob) -> None:
        self._inflater = Inflater(job.name, SizeGuard(job.name, job.limits))
        self._offsets = deque(sorted(set(job.offsets)))
        self._before = 0
        self._newlines = 0
        self._numbers: dict[int, int] = {}

    def feed(self, chunk: bytes) -> ScanOutput:
        """Count the lines of the next chunk.

        Raises:
            SourceObjectError: the object cannot be read.
        """
        return self._count(self._inflater.feed(chunk))

    def finish(self) -> tuple[ScanOutput, dict[int, int]]:
        """Return the line number of each offset, from 1."""
        return self._count(self._inflater.finish()), self._numbers

    def _count(self, pieces: Iterable[bytes]) -> ScanOutput:
        for piece in pieces:
            while self._offsets and self._offsets[0] < self._before + len(piece):
                offset = self._offsets.popleft()
                self._numbers[offset] = self._newlines + piece.count(b"\n", 0, offset - self._before) + 1
            self._newlines += piece.count(b"\n") if self._offsets else 0
            self._before += len(piece)
        return ScanOutput(())
