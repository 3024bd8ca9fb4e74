"""Select: whose lines a block holds. One reading of a line serves all who want its object."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from services.aggregator.scan.candidates import Candidates, Mention
from services.aggregator.scan.tally import Tally
from telemetry.line import decode
from telemetry.ownership import is_event, ownership

if TYPE_CHECKING:
    from collections.abc import Sequence


_FIRST: Final = (0,)


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
        self._only = selections[0].resource if len(selections) == 1 else None
        self._by_resource: dict[str, list[int]] = {}
        for index, selection in enumerate(selections):
            if selection.resource is not None:
                self._by_resource.setdefault(selection.resource, []).append(index)
        self._everybody: Sequence[int] = [
            index for index, selection in enumerate(selections) if selection.resource is None
        ]
        self._filters = any(selection.tags or selection.event_kinds for selection in selections)
        self._before = 0  # inflated bytes of earlier blocks
        self.tallies = [Tally() for _ in selections]

    def select(self, block: bytes) -> list[bytes]:
        """The lines that leave, joined, for each selection.

        Args:
            block: whole lines, the next of the object; or its last line, if that has no newline.
        """
        events: list[list[dict[str, object]]] = [[] for _ in self._selections]
        leaving: list[list[bytes]] = [[] for _ in self._selections]
        for start, line in self._candidates.find(block):
            event = decode(line)
            if is_event(event):
                for index in self._takers(event):
                    events[index].append(event)
                    leaving[index].append(line)
            elif not line.isspace():
                self._note_unreadable(line, self._before + start)
        for tally, selected in zip(self.tallies, events, strict=True):
            tally.add(selected)
        self._before += len(block)
        end = b"\n" if block.endswith(b"\n") else b""
        return [b"\n".join(lines) + end if lines else b"" for lines in leaving]

    def _takers(self, event: dict[str, object]) -> Sequence[int]:
        """Who wants the event."""
        owner = ownership(event, default_channel=self._default_channel)
        takers = self._everybody
        if self._only is not None:
            takers = _FIRST if owner.belongs_to(self._only) else ()
        elif self._by_resource:
            takers = []
            for resource in owner.resources:
                takers += self._by_resource.get(resource, ())
        if not (takers and self._filters):
            return takers
        return [
            index
            for index in takers
            if owner.has_any_tag((selection := self._selections[index]).tags)
            and (not selection.event_kinds or event["eid"] in selection.event_kinds)
        ]

    def _note_unreadable(self, line: bytes, offset: int) -> None:
        for tally, mention in zip(self.tallies, self._mentions, strict=True):
            if mention is None or line in mention:
                tally.unreadable_line(offset)
