"""The counter of an object that is selected whole: it counts events and unreadable lines, and selects nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.aggregator.scan.lines import LineBlock, lines_of
from services.aggregator.scan.scan_stats import ScanStats
from telemetry.line import decode_metadata
from telemetry.ownership import is_event

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.aggregator.scan.lines import Block


class WholeObjectCounter:
    """A counter with the methods of a Selector that has one selection.

    Attributes:
        stats: a list of one.
    """

    def __init__(self) -> None:
        self.stats = [ScanStats()]

    def select(self, block: Block) -> Sequence[bytes]:
        """Count the lines of a block, and return it whole. A line that is too long counts as unreadable."""
        [stats] = self.stats
        if isinstance(block, LineBlock):
            self._count(stats, block)
        elif block.is_first:
            stats.add_unreadable_line(block.offset)
        return [block.data]

    def flush(self) -> Sequence[bytes]:
        """Return nothing, as no line waits."""
        return ()

    def _count(self, stats: ScanStats, block: LineBlock) -> None:
        found = [*lines_of(block.data)]
        decoded = decode_metadata([line for _, line in found])
        events = [event for event in decoded if is_event(event)]
        if len(events) < len(decoded):
            for (start, line), event in zip(found, decoded, strict=True):
                if not (is_event(event) or line.isspace()):
                    stats.add_unreadable_line(block.offset + start)
        stats.add(events)
