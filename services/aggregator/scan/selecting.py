"""Select: whose lines a block holds. One reading of a line serves all who want its object."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Final

from services.aggregator.scan.candidates import Candidates, Mention
from services.aggregator.scan.tally import Tally
from telemetry.line import decode_all
from telemetry.ownership import is_event, ownership

if TYPE_CHECKING:
    from collections.abc import Sequence

    from telemetry.ownership import Ownership

# So many sets of owners are remembered, of so many characters. Real ids have some 20 to 60; longer ones come from
# damaged lines and would only take memory.
_MOST_REMEMBERED: Final = 1024
_LONGEST_REMEMBERED: Final = 1024
_ENOUGH_LINES: Final = 256
_ENOUGH_BYTES: Final = 512 * 1024


@dataclass(frozen=True, slots=True)
class Selection:
    """What one request wants of an object.

    Attributes:
        resource: in canonical form; None when all that the object holds belongs to the resource already.
        owner: plain id of the partner or channel that the resource stands for, when it is known: then lines are found
            by their bytes, and only unreadable lines that mention it count.
        tags: an event needs one of them; empty means no filter.
        event_kinds: eids that may leave; empty means all.
        default_channel: whose an event is that names no channel.
    """

    resource: str | None
    owner: str | None
    tags: tuple[str, ...]
    event_kinds: frozenset[str]
    default_channel: str

    @property
    def takes_all(self) -> bool:
        """Whether every byte of an object leaves as it is, lines that are no events too."""
        return self.resource is None and not self.tags and not self.event_kinds

    @property
    def mention(self) -> Mention | None:
        """What a line must hold to concern this selection; None when any may."""
        return Mention.of(self.owner, default_channel=self.default_channel) if self.resource else None


class Selector:
    """Picks the lines of one object for several selections at once.

    Attributes:
        tallies: what each selection got, in their order.
    """

    def __init__(self, selections: Sequence[Selection]) -> None:
        self._selections = selections
        self._mentions = [selection.mention for selection in selections]
        self._candidates = Candidates(self._mentions)
        self._default_channel = selections[0].default_channel
        self._by_resource: dict[str, list[int]] = {}
        for index, selection in enumerate(selections):
            if selection.resource is not None:
                self._by_resource.setdefault(selection.resource, []).append(index)
        self._everybody: Sequence[int] = [
            index for index, selection in enumerate(selections) if selection.resource is None
        ]
        self._takers_of: dict[tuple[str, ...], Sequence[int]] = {}
        self._filters = any(selection.tags or selection.event_kinds for selection in selections)
        self._before = 0  # inflated bytes of earlier blocks
        # Candidates that wait, how many bytes they are, and how many inflated bytes were before each.
        self._lines: list[bytes] = []
        self._bytes = 0
        self._places: list[int] = []
        self.tallies = [Tally() for _ in selections]

    def select(self, block: bytes) -> Sequence[bytes]:
        """The lines that leave, joined, for each selection: of this block and those before it, or none yet.

        Candidates wait until there are enough: to decode a few costs twice as much for each.

        Args:
            block: whole lines, the next of the object; or its last line, if that has no newline.
        """
        found = [*self._candidates.find(block)]
        lines = [line for _, line in found]
        self._lines += lines
        self._bytes += sum(map(len, lines))
        self._places += [self._before + start for start, _ in found]
        self._before += len(block)
        return self.flush() if len(self._lines) >= _ENOUGH_LINES or self._bytes >= _ENOUGH_BYTES else ()

    def flush(self) -> Sequence[bytes]:
        """The lines that leave of all that wait, joined, for each selection."""
        events: list[list[dict[str, object]]] = [[] for _ in self._selections]
        leaving: list[list[bytes]] = [[] for _ in self._selections]
        for place, line, event in zip(self._places, self._lines, decode_all(self._lines), strict=True):
            if is_event(event):
                for index in self._takers(event):
                    events[index].append(event)
                    leaving[index].append(line)
            elif not line.isspace():
                self._note_unreadable(line, place)
        self._lines, self._bytes, self._places = [], 0, []
        for tally, selected in zip(self.tallies, events, strict=True):
            tally.add(selected)
        return [*map(b"".join, leaving)]

    def _takers(self, event: dict[str, object]) -> Sequence[int]:
        """Who wants the event."""
        owner = ownership(event, default_channel=self._default_channel)
        takers = self._takers_of.get(owner.owners)
        if takers is None or "metadata" in event:  # whose hashes of partners are no owners that could be remembered
            takers = self._find_takers(owner)
        if not (takers and self._filters):
            return takers
        return [
            index
            for index in takers
            if owner.has_any_tag((selection := self._selections[index]).tags)
            and (not selection.event_kinds or event["eid"] in selection.event_kinds)
        ]

    def _find_takers(self, owner: Ownership) -> Sequence[int]:
        """Who wants what this owner has. Most events have the same few owners, which need not be hashed again."""
        wanting = (self._by_resource.get(resource, ()) for resource in owner.resources)
        takers = [*self._everybody, *chain.from_iterable(wanting)]
        if not owner.partner_resources and len(self._takers_of) < _MOST_REMEMBERED:
            owners = owner.owners
            if sum(map(len, owners)) <= _LONGEST_REMEMBERED:
                self._takers_of[owners] = takers
        return takers

    def _note_unreadable(self, line: bytes, offset: int) -> None:
        for tally, mention in zip(self.tallies, self._mentions, strict=True):
            if mention is None or line in mention:
                tally.unreadable_line(offset)
