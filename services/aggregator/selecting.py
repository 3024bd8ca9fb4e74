"""Select: which lines of a raw object leave, for one resource and one tag filter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from exhaust.catalogue import Dataset, Layout
from services.aggregator.lines import decode
from telemetry.ownership import is_event, ownership

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(slots=True)
class Tally:
    """What was seen in one object.

    Attributes:
        events: selected events.
        bytes: of the lines that leave.
        unreadable: lines that are no event. Blank lines are nothing at all.
    """

    events: int = 0
    bytes: int = 0
    unreadable: int = 0


@dataclass(frozen=True, slots=True)
class Selection:
    """Decides line by line. Without tags, an object that belongs to the resource passes whole, unreadable lines too.

    Attributes:
        resource: in canonical form.
        tags: an event needs one of them; empty means no filter.
        default_channel: whose an event is that names no channel.
    """

    dataset: Dataset
    resource: str
    tags: tuple[str, ...]
    default_channel: str

    @property
    def passes_whole(self) -> bool:
        """Whether every byte leaves as it is."""
        return self.dataset.layout is Layout.RESOURCE and not self.tags and not self.dataset.event_kinds

    def select(self, lines: Iterable[bytes], tally: Tally) -> bytes:
        """The lines that leave, joined.

        Args:
            lines: of one object, in order.
            tally: counts on.
        """
        leaving = []
        whole = self.passes_whole
        for line in lines:
            leaves = self._leaves(line, tally)
            if leaves or whole:
                leaving.append(line)
        data = b"".join(leaving)
        tally.bytes += len(data)
        return data

    def _leaves(self, line: bytes, tally: Tally) -> bool:
        if line.isspace() or not line:
            return False
        event = decode(line)
        if not is_event(event):
            tally.unreadable += 1
            return False
        if not self._wanted(event):
            return False
        tally.events += 1
        return True

    def _wanted(self, event: dict[str, object]) -> bool:
        if self.dataset.event_kinds and event["eid"] not in self.dataset.event_kinds:
            return False
        owner = ownership(event, default_channel=self.default_channel)
        if self.dataset.layout is Layout.SHARED and not owner.belongs_to(self.resource):
            return False
        return owner.has_any_tag(self.tags)
