"""The parts of which the trees are made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from telemetry_exhaust.sessions.rules import (
    CONTENT_EDITOR,
    EDITOR,
    MOBILE_1_2,
    MOBILE_APP,
    SESSION,
    WEB_PORTAL,
    WORKFLOWS,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from telemetry_exhaust.sessions.seen import Seen

FINISHED: Final = "finished"
UNFINISHED: Final = "unfinished"
WITHOUT_END: Final = "without END"  # as the documents draw the session of the portal and the editor
LOOSE: Final = "loose"  # events of a group that are in no part
STATES: Final = (FINISHED, UNFINISHED, WITHOUT_END)


class Part:
    """A part of a session, from its START to its END as far as they are there, with the parts in it.

    Attributes:
        group: what its events have in common: a session, a device, or a program.
        type: `app`, `session`, `player`, `editor`, `service`, or as it is written.
        start, end: its events; an END that is missing is None. Of loose events `start` is the first.
        before: the event that made its user, in front of the START.
        parent, depth: the part around it, and how many there are.
        state: see STATES, and LOOSE.
        last_ms: time of its last event, those of the parts in it included.
        counts: its own events by eid, without START and END, and without those of the parts in it.
        items: its own events and the parts in it, as they came; only when they are asked for.
        logs: of each request that a service answered lately, how many events were logged for it.
        left_out: own events that are counted, but not in `items`.
    """

    __slots__ = (
        "before",
        "children",
        "counts",
        "depth",
        "end",
        "group",
        "items",
        "last_ms",
        "left_out",
        "logs",
        "parent",
        "screens",
        "start",
        "state",
        "type",
    )

    def __init__(self, group: str, kind: str, start: Seen | None, parent: Part | None) -> None:
        self.group = group
        self.type = kind
        self.start = start
        self.end: Seen | None = None
        self.before: Seen | None = None
        self.parent = parent
        self.depth: int = parent.depth + 1 if parent else 0
        self.state = UNFINISHED
        self.last_ms = start.time if start else 0
        self.counts: dict[str, int] = {}
        self.screens = 0
        self.children: list[Part] = []
        self.items: list[Seen | Part] | None = None
        self.logs: dict[str, int] = {}
        self.left_out = 0

    @property
    def about(self) -> str:
        """The object, such as the content that is played."""
        return self.start.about if self.start and self.state != LOOSE else ""

    @property
    def session(self) -> str:
        """The session that its START names, or else that of the group."""
        return (self.start.session if self.start else "") or self.group.partition("\0")[0]

    @property
    def events(self) -> int:
        """All events, those of the parts in it included."""
        return sum(part.own_events for part in self.walk())

    @property
    def own_events(self) -> int:
        """The events that are in no part within."""
        around = () if self.state == LOOSE else (self.before, self.start, self.end)
        own = sum(event is not None for event in around)
        return own + sum(self.counts.values())

    @property
    def ms(self) -> int:
        """How long it lasted; without an END, at least."""
        return max(0, self.last_ms - self.start.time) if self.start else 0

    def inside(self, kind: str) -> bool:
        """Return True when a part of a type is around it."""
        around = self.parent
        while around is not None and around.type != kind:
            around = around.parent
        return around is not None

    def walk(self) -> Iterator[Part]:
        """Return the part, and all within, in the order of their STARTs."""
        pending = [self]
        while pending:
            part = pending.pop()
            yield part
            pending.extend(reversed(part.children))


def workflow_of(root: Part) -> str:
    """Return which workflow of the documents a tree follows; "" for none."""
    if root.state == LOOSE:
        return ""
    if root.type != SESSION:
        mobile = root.start is not None and root.start.eid.startswith(MOBILE_1_2)
        return WORKFLOWS.get(root.type) or (MOBILE_APP if mobile else "")
    if any(child.type == EDITOR for child in root.children):
        return CONTENT_EDITOR
    return WEB_PORTAL if root.state == WITHOUT_END else MOBILE_APP
