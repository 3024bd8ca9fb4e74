"""Count without selecting: what the lines of an object are that leaves whole.

Every line is validated and three or four of its members are read; nothing else of it becomes a Python object, which is
what decoding costs. Of a member that stands twice the first counts here.

Lines are validated many at once, as one JSON array. Between two of them stands a string that nobody outside knows.
When each second element is that string, and none of the strings is missing, each line is one JSON value by itself: no
two lines made one value together, and none was more than one.
"""

from __future__ import annotations

import secrets
from itertools import repeat
from operator import contains
from typing import TYPE_CHECKING, Final

from simdjson import Array, Object, Parser

from services.aggregator.scan.lines import lines_of
from services.aggregator.scan.tally import Tally
from telemetry.line import decode
from telemetry.ownership import is_event

if TYPE_CHECKING:
    from collections.abc import Sequence

_MARK_BYTES: Final = 16


class Census:
    """Takes all lines of one object, as a Selector with one selection would.

    Attributes:
        tallies: one.
    """

    def __init__(self) -> None:
        self._parser = Parser()
        self._mark = secrets.token_hex(_MARK_BYTES)
        self._between = f'\n,"{self._mark}",\n'.encode()
        self._before = 0  # inflated bytes of earlier blocks
        self.tallies = [Tally()]

    def select(self, block: bytes) -> Sequence[bytes]:
        """The block, counted."""
        if not self._count_together(block):
            self._count_each(block)
        self._before += len(block)
        return [block]

    def finish(self) -> Sequence[bytes]:
        """Nothing: every block leaves at once."""
        return ()

    def _count_together(self, block: bytes) -> bool:
        """Count the lines of a block that are all events; tell whether they are."""
        lines = block.removesuffix(b"\n")
        array = b"[%b]" % lines.replace(b"\n", self._between)
        newlines = (len(array) - len(b"[]") - len(lines)) // (len(self._between) - len(b"\n"))
        try:
            found = self._parser.parse(array)
        except (ValueError, RuntimeError):
            return False  # also for a few things that are JSON, such as \ud800 alone and numbers of any length
        if not isinstance(found, Array) or len(found) != 2 * newlines + 1:
            return False
        elements = [*found]
        values, marks = elements[::2], elements[1::2]
        if marks.count(self._mark) < len(marks) or {*map(type, values)} != {Object}:
            return False
        if not all(map(contains, values, repeat("eid"))):
            return False
        self.tallies[0].add(values)
        return True

    def _count_each(self, block: bytes) -> None:
        [tally] = self.tallies
        events = []
        for start, line in lines_of(block):
            event = decode(line)
            if is_event(event):
                events.append(event)
            elif not line.isspace():
                tally.unreadable_line(self._before + start)
        tally.add(events)
