"""Builds the trees of a download from its events in order, and tells where they are not as the documents draw them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, Final, NamedTuple

from telemetry_exhaust.sessions.parts import FINISHED, LOOSE, UNFINISHED, WITHOUT_END, Part
from telemetry_exhaust.sessions.rules import (
    AROUND,
    DRAWN_IN,
    END,
    LOG,
    MOBILE_1_2,
    NAMELESS,
    NEW_USER,
    PLAIN,
    REQUEST,
    SCREEN,
    SERVICE,
    SESSION,
    SINGLE,
    START,
    UNNAMED,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from telemetry_exhaust.sessions.seen import Seen

MOST_ITEMS: Final = 100_000  # of one group that are kept for a drawing; the others are counted
MOST_DEPTH: Final = 50  # of a tree
MOST_PARTS: Final = 50_000  # of the open trees of a group
MOST_OPEN: Final = 200  # parts of a group at once
_MOST_MIDS: Final = 100_000  # of one millisecond
_MOST_EIDS: Final = 500  # that a part counts apart
_OTHERS: Final = "other"
_OPEN_REQUESTS: Final = 1_000  # of a service, for whose LOG events it looks

# The kinds of deviations.
NO_END: Final = "unfinished"
NO_START: Final = "orphaned"
MISPLACED: Final = "misplaced"
NO_TYPE: Final = "unnamed"
REPEATED: Final = "repeated"
NO_PART: Final = "loose"
CUT: Final = "cut"


class Deviation(NamedTuple):
    """Something that is not as the documents draw it, and where it was read."""

    kind: str
    place: int
    says: str


Tell = Callable[[Deviation], None]


def trees_of(ordered: Iterable[Seen], tell: Tell, *, keep: bool) -> Iterator[Part]:
    """Return the trees of events that come in order; the last of a group has its loose events, if there are any.

    Args:
        tell: is called with each deviation.
        keep: whether `Part.items` are wanted.
    """
    group = _Group("", tell, keep=keep)
    for event in ordered:
        if event.group != group.key:
            yield from group.rest()
            group = _Group(event.group, tell, keep=keep)
        elif group.done and event.time != group.now:  # at the same time its last event may come again
            yield from group.done
            group.done.clear()
        group.take(event)
    yield from group.rest()


class _Group:
    """The events that belong together.

    Attributes:
        done: trees that are closed.
        now: the time of the last event.
    """

    def __init__(self, key: str, tell: Tell, *, keep: bool) -> None:
        self.key = key
        self.done: list[Part] = []
        self._parts = 0  # of the trees that are open
        self._tell = tell
        self._keep = keep
        self._held = 0
        self._open: list[Part] = []
        self._loose: Part | None = None
        self._new_user: Seen | None = None
        self.now = 0
        self._mids: set[int] = set()  # of the events at this time: what comes twice has the same time

    def take(self, event: Seen) -> None:
        """Put an event in its place."""
        time, mid, role = event.time, event.mid, event.role
        if time != self.now or len(self._mids) > _MOST_MIDS:
            self.now = time
            self._mids.clear()
        elif mid and mid in self._mids:
            self._tell(Deviation(REPEATED, event.place, f"{event.eid} is there again, with the same mid"))
            return
        if mid:
            self._mids.add(mid)
        if role == START:
            self._start(event)
        elif role == END:
            self._end(event)
        elif role == NEW_USER and not self._open:
            self._drop_new_user()
            self._new_user = event
        else:
            self._fill(self._open[-1] if self._open else self._outside(event), event)

    def rest(self) -> Iterator[Part]:
        """Close what is open, and return the trees that are left."""
        self._close_all()
        self._drop_new_user()
        yield from self.done
        if self._loose is not None:
            events, first = self._loose.own_events, self._loose.start
            self._tell(Deviation(NO_PART, first.place if first else 0, f"{events} events in no part, here the first"))
            yield self._loose

    def _start(self, event: Seen) -> None:
        kind, about = event.part, event.about
        if kind == UNNAMED:
            self._tell(Deviation(NO_TYPE, event.place, f"{event.eid} names no type"))
        for part in reversed(self._open):
            if part.type == kind and (kind in SINGLE or part.about == about):
                self._close(part)
                break
        if self._parts >= MOST_PARTS or len(self._open) >= MOST_OPEN:
            size = f"{self._parts} parts, {len(self._open)} of them open"
            self._tell(Deviation(CUT, event.place, f"a tree has {size}; what follows is in another"))
            self._close_all()
        wanted = AROUND.get(kind)
        parent = next((part for part in reversed(self._open) if _may_hold(part, wanted)), None)
        part = Part(self.key, kind, event, parent)
        if self._keep:
            part.items = []
        if parent is None:
            part.before, self._new_user = (self._new_user, None) if kind == SESSION else (None, self._new_user)
        else:
            parent.children.append(part)
            if parent.items is not None:
                parent.items.append(part)
        self._open.append(part)
        self._parts += 1

    def _end(self, event: Seen) -> None:
        kind, about = event.part, event.about
        candidates = [part for part in reversed(self._open) if part.type == kind]
        if about and kind not in NAMELESS:
            candidates = [part for part in candidates if not part.about or part.about == about]
            candidates.sort(key=lambda part: part.about != about)
        if not candidates:
            shown = f" of {about}" if about and kind not in NAMELESS else ""
            self._tell(Deviation(NO_START, event.place, f"END of {kind}{shown} without a START"))
            self._fill(self._open[-1] if self._open else self._outside(event), event)
            return
        part = candidates[0]
        part.end = event
        part.last_ms = event.time
        part.state = FINISHED
        self._close(part)

    def _close_all(self) -> None:
        while self._open:
            self._close(self._open[0])

    def _close(self, part: Part) -> None:
        """Take a part and those within from the open ones."""
        for child in part.children:
            if child in self._open:
                self._close(child)
            part.last_ms = max(part.last_ms, child.last_ms)
        self._open.remove(part)
        part.logs.clear()
        self._judge(part)
        if part.parent is None:
            self.done.append(part)
            if not self._open:
                self._parts = self._held = 0

    def _judge(self, part: Part) -> None:
        """Tell where a part that is closed is not as it is drawn."""
        start = part.start
        if start is None:
            return
        drawn_in = DRAWN_IN.get(part.type)
        at_the_top = part.type == SESSION and part.parent is None and not start.eid.startswith(MOBILE_1_2)
        if at_the_top and part.state == UNFINISHED:
            part.state, drawn_in = WITHOUT_END, None
        shown = f"{part.type} {part.about}".rstrip()
        if part.state == UNFINISHED:
            self._tell(Deviation(NO_END, start.place, f"{shown} has no END"))
        told = part.parent is not None and DRAWN_IN.get(part.parent.type) == drawn_in
        if drawn_in and not told and not part.inside(drawn_in):
            self._tell(Deviation(MISPLACED, start.place, f"{shown} has no {drawn_in} around it"))

    def _fill(self, part: Part, event: Seen) -> None:
        """Count an event that is within a part, or loose."""
        eid, role, counts = event.eid, event.role, part.counts
        if eid not in counts and len(counts) >= _MOST_EIDS:
            eid = _OTHERS
        counts[eid] = counts.get(eid, 0) + 1
        part.last_ms = max(part.last_ms, event.time)
        if role == SCREEN:
            part.screens += 1
        elif role != PLAIN and part.type == SERVICE:
            self._correlate(part, event)
        if part.items is not None:
            self._held += 1
            if self._held <= MOST_ITEMS and len(part.items) < MOST_ITEMS:
                part.items.append(event)
            else:
                part.left_out += 1

    def _correlate(self, part: Part, event: Seen) -> None:
        """Find the request of what a service logged."""
        request, logs = event.about, part.logs
        if event.role == REQUEST and request:
            logs[request] = 0
            if len(logs) > _OPEN_REQUESTS:
                del logs[next(iter(logs))]
        elif event.role == LOG and request:
            if request in logs:
                logs[request] += 1
            else:
                self._tell(Deviation(NO_START, event.place, f"{event.eid} of request {request} without an ACCESS"))

    def _outside(self, event: Seen) -> Part:
        if self._loose is None:
            self._loose = Part(self.key, LOOSE, event, None)
            self._loose.state = LOOSE
            if self._keep:
                self._loose.items = []
        return self._loose

    def _drop_new_user(self) -> None:
        event, self._new_user = self._new_user, None
        if event is not None:
            self._fill(self._outside(event), event)


def _may_hold(part: Part, wanted: tuple[str, ...] | None) -> bool:
    """Return True when a part may be around one that wants to be in those types, or in any."""
    return part.depth < MOST_DEPTH if wanted is None else part.type in wanted
