"""Reads downloads into trees: every line once, then every event in order, in little memory however many there are."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from telemetry_exhaust.lines import MAX_LINE_BYTES, event_of
from telemetry_exhaust.sessions.ordering import RUN_EVENTS, Ordering
from telemetry_exhaust.sessions.rows import document_of
from telemetry_exhaust.sessions.rules import DERIVED
from telemetry_exhaust.sessions.seen import record_of
from telemetry_exhaust.sessions.sources import Sources
from telemetry_exhaust.sessions.trees import Deviation, trees_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from telemetry_exhaust.sessions.parts import Part
    from telemetry_exhaust.sessions.seen import Record

UNREADABLE: Final = "unreadable"
UNTIMED: Final = "untimed"


class Reading:
    """Downloads that are read.

    Attributes:
        events: how many there are, derived ones left out.
        derived: summaries that the platform computed, which are of no session.
    """

    def __init__(self, paths: Iterable[Path], *, run_events: int = RUN_EVENTS) -> None:
        self.sources = Sources(paths)
        self.events = 0
        self.derived = 0
        self._ordering = Ordering(run_events)

    def read(self) -> Iterator[Deviation]:
        """Read every line, and return those that are no events, or do not say when they happened.

        Raises:
            DownloadError: a file cannot be read, or is cut or damaged.
            OSError: the temporary file cannot be written.
        """
        odd: list[Deviation] = []
        for place, lines in self.sources.lines():
            self._ordering.extend(self._records(place, lines, odd))
            yield from odd
            odd.clear()

    def trees(self, *, keep: bool) -> Iterator[tuple[Part, list[Deviation]]]:
        """Return the trees by session, device and program, each with what is not as it is drawn; once, after `read`.

        Args:
            keep: whether `Part.items` are wanted.
        """
        told: list[Deviation] = []
        try:
            for tree in trees_of(self._ordering.in_order(), told.append, keep=keep):
                yield tree, sorted(told, key=attrgetter("place"))
                told.clear()
        finally:
            self._ordering.close()

    def _records(self, place: int, lines: list[bytes], odd: list[Deviation]) -> list[Record]:
        found = []
        for at, line in enumerate(lines, place):
            if not line or line.isspace():
                continue
            event = event_of(line) if len(line) < MAX_LINE_BYTES else None
            if event is None:
                odd.append(Deviation(UNREADABLE, at, "no event: no JSON object with an eid"))
                continue
            eid = event["eid"]
            if isinstance(eid, str) and eid.startswith(DERIVED):
                self.derived += 1
                continue
            self.events += 1
            record = record_of(event, at)
            if record is None:
                odd.append(Deviation(UNTIMED, at, f"{str(eid)[:40]} does not say when it happened"))
            else:
                found.append(record)
        return found


def documents(paths: Iterable[Path]) -> Iterator[dict[str, Any]]:
    """Return the trees of downloads as JSON objects.

    Raises:
        DownloadError: a file cannot be read, or is cut or damaged.
        OSError: the temporary file cannot be written.
    """
    reading = Reading(paths)
    for _ in reading.read():
        pass
    for tree, told in reading.trees(keep=False):
        yield document_of(tree, told, reading.sources.where)
