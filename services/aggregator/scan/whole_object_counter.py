"""The counter of an object that is selected whole: it counts events and unreadable lines, and selects nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.aggregator.scan.lines import lines_of
from services.aggregator.scan.scan_stats import ScanStats
from telemetry.line import decode_metadata
from telemetry.ownership import is_event

if TYPE_CHECKING:
    from collections.abc import Sequence


class WholeObjectCounter:
    """A counter with the methods of a Selector that has one selection.

    Attributes:
        stats: a list of one.
    """

    def __init__(self) -> None:
        self._before = 0  # inflated bytes of earlier blocks
        self.stats = [ScanStats()]

    def select(self, block: bytes) -> Sequence[bytes]:
        """Count the lines of a block, and return it whole."""
        [stats] = self.stats
        found = [*lines_of(block)]
        decoded = decode_metadata([line for _, line in found])
        events = [event for event in decoded if is_event(event)]
        if len(events) < len(decoded):
            for (start, line), event in zip(found, decoded, strict=True):
                if not (is_event(event) or line.isspace()):
                    stats.add_unreadable_line(self._before + start)
        stats.add(events)
        self._before += len(block)
        return [block]

    def flush(self) -> Sequence[bytes]:
        """Return nothing, as no line waits."""
        return ()
