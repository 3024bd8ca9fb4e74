"""Count without selecting: what the lines of an object are that leaves whole.

Every line is validated and four of its members are read; nothing else of it becomes a Python object, which is what
decoding costs. Of a member that stands twice the first counts here.
"""

from __future__ import annotations

from simdjson import Object, Parser

from services.aggregator.scan.lines import lines_of
from services.aggregator.scan.tally import Tally
from telemetry.line import decode
from telemetry.ownership import is_event


class Census:
    """Takes all lines of one object, as a Selector with one selection would.

    Attributes:
        tallies: one.
    """

    def __init__(self) -> None:
        self._parser = Parser()
        self._before = 0  # inflated bytes of earlier blocks
        self.tallies = [Tally()]

    def select(self, block: bytes) -> list[bytes]:
        """The block, counted."""
        [tally] = self.tallies
        for start, line in lines_of(block):
            if not self._count(line, tally) and not line.isspace():
                tally.unreadable_line(self._before + start)
        self._before += len(block)
        return [block]

    def _count(self, line: bytes, tally: Tally) -> bool:
        """Count a line when it is an event; tell whether it is."""
        try:
            found = self._parser.parse(line)
            if not isinstance(found, Object) or "eid" not in found:
                return False
            tally.event(found)
        except (ValueError, RuntimeError):
            # It refuses a few things that are JSON, such as \ud800 alone and numbers of any length.
            event = decode(line)
            if not is_event(event):
                return False
            tally.event(event)
        return True
