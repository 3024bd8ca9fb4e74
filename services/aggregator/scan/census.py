"""Count without selecting: what the lines of an object are that leaves whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.aggregator.scan.lines import lines_of
from services.aggregator.scan.tally import Tally
from telemetry.line import decode_metadata
from telemetry.ownership import is_event

if TYPE_CHECKING:
    from collections.abc import Sequence


class Census:
    """Takes all lines of one object, as a Selector with one selection would.

    Attributes:
        tallies: one.
    """

    def __init__(self) -> None:
        self._before = 0  # inflated bytes of earlier blocks
        self.tallies = [Tally()]

    def select(self, block: bytes) -> Sequence[bytes]:
        """The block, counted."""
        [tally] = self.tallies
        found = [*lines_of(block)]
        decoded = decode_metadata([line for _, line in found])
        events = [event for event in decoded if is_event(event)]
        if len(events) < len(decoded):
            for (start, line), event in zip(found, decoded, strict=True):
                if not (is_event(event) or line.isspace()):
                    tally.unreadable_line(self._before + start)
        tally.add(events)
        self._before += len(block)
        return [block]

    def flush(self) -> Sequence[bytes]:
        """Nothing: no line waits."""
        return ()
