"""The selector picks the lines of an object that belong to selections. It parses a line once for all selections."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Final

from services.aggregator.scan.line_prefilter import LinePrefilter, OwnerPattern
from services.aggregator.scan.lines import LineBlock
from services.aggregator.scan.scan_stats import ScanStats
from telemetry.line import decode_all
from telemetry.ownership import Ownership, is_event

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.aggregator.scan.lines import Block

# The selections that match a set of owners are cached for so many sets, of so many characters. Real ids have some 20 to
# 60 characters; longer ones come from damaged lines and would only take memory.
_MAX_CACHED_OWNERS: Final = 1024
_MAX_CACHED_CHARACTERS: Final = 1024
_BATCH_LINES: Final = 256
_BATCH_BYTES: Final = 512 * 1024


@dataclass(frozen=True, slots=True)
class Selection:
    """The events that belong into one archive.

    Attributes:
        resource: in canonical form; None when everything in the object belongs to the resource.
        owner: plain id of the partner or channel that the resource stands for, when it is known. Then lines are found
            by their bytes, and an unreadable line counts only when it holds the id.
        tags: an event needs one of them; empty means no filter.
        event_kinds: eids that are selected; empty means all.
        default_channel: the channel of events that name none.
    """

    resource: str | None
    owner: str | None
    tags: tuple[str, ...]
    event_kinds: frozenset[str]
    default_channel: str

    @property
    def takes_all(self) -> bool:
        """True when every byte of an object is selected, even lines that are no events."""
        return self.resource is None and not self.tags and not self.event_kinds

    @property
    def owner_pattern(self) -> OwnerPattern | None:
        """The pattern that a line must match to belong to this selection; None when any line may."""
        return OwnerPattern.of(self.owner, default_channel=self.default_channel) if self.resource else None


class Selector:
    """The selector of one object.

    Attributes:
        stats: those of each selection, in the order of the selections.
    """

    def __init__(self, selections: Sequence[Selection]) -> None:
        self._selections = selections
        self._owner_patterns = [selection.owner_pattern for selection in selections]
        self._prefilter = LinePrefilter(self._owner_patterns)
        self._default_channel = selections[0].default_channel
        self._by_resource: dict[str, list[int]] = {}
        for index, selection in enumerate(selections):
            if selection.resource is not None:
                self._by_resource.setdefault(selection.resource, []).append(index)
        self._without_resource: Sequence[int] = [
            index for index, selection in enumerate(selections) if selection.resource is None
        ]
        self._matches_by_owners: dict[tuple[str, ...], Sequence[int]] = {}
        self._filters = any(selection.tags or selection.event_kinds for selection in selections)
        # Lines that wait to be decoded, their bytes, and the inflated bytes before each.
        self._lines: list[bytes] = []
        self._bytes = 0
        self._offsets: list[int] = []
        self.stats = [ScanStats() for _ in selections]

    def select(self, block: Block) -> Sequence[bytes]:
        """Return the selected lines of this block and of earlier ones, joined, for each selection; or nothing yet.

        Lines wait until there are enough of them, as decoding a few at a time costs twice as much. A line that is too
        long counts as unreadable for every selection, as it may belong to any.

        Args:
            block: the next one of the object.
        """
        if not isinstance(block, LineBlock):
            return self._pass_over(block.offset) if block.is_first else ()
        found = [*self._prefilter.find(block.data)]
        lines = [line for _, line in found]
        self._lines += lines
        self._bytes += sum(map(len, lines))
        self._offsets += [block.offset + start for start, _ in found]
        return self.flush() if len(self._lines) >= _BATCH_LINES or self._bytes >= _BATCH_BYTES else ()

    def flush(self) -> Sequence[bytes]:
        """Return the selected lines of those that wait, joined, for each selection."""
        events: list[list[dict[str, object]]] = [[] for _ in self._selections]
        selected_lines: list[list[bytes]] = [[] for _ in self._selections]
        for offset, line, event in zip(self._offsets, self._lines, decode_all(self._lines), strict=True):
            if is_event(event):
                for index in self._match(event):
                    events[index].append(event)
                    selected_lines[index].append(line)
            elif not line.isspace():
                self._count_unreadable(line, offset)
        self._lines, self._bytes, self._offsets = [], 0, []
        for stats, selected in zip(self.stats, events, strict=True):
            stats.add(selected)
        return [*map(b"".join, selected_lines)]

    def _pass_over(self, offset: int) -> Sequence[bytes]:
        """Count the line at an offset as unreadable, after those that wait."""
        selected_lines = self.flush()
        for stats in self.stats:
            stats.add_unreadable_line(offset)
        return selected_lines

    def _match(self, event: dict[str, object]) -> Sequence[int]:
        """Return the indices of the selections that an event belongs to."""
        owner = Ownership(event, self._default_channel)
        matches = self._matches_by_owners.get(owner.owners)
        if matches is None or "metadata" in event:  # which may hold hashes of partners, beside the owners
            matches = self._match_owners(owner)
        if not (matches and self._filters):
            return matches
        return [
            index
            for index in matches
            if owner.has_any_tag((selection := self._selections[index]).tags)
            and (not selection.event_kinds or event["eid"] in selection.event_kinds)
        ]

    def _match_owners(self, owner: Ownership) -> Sequence[int]:
        """Match by owners alone, and cache the matches: most events have the same few owners, which hashing costs."""
        by_resource = (self._by_resource.get(resource, ()) for resource in owner.resources)
        matches = [*self._without_resource, *chain.from_iterable(by_resource)]
        if not owner.partner_resources and len(self._matches_by_owners) < _MAX_CACHED_OWNERS:
            owners = owner.owners
            if sum(map(len, owners)) <= _MAX_CACHED_CHARACTERS:
                self._matches_by_owners[owners] = matches
        return matches

    def _count_unreadable(self, line: bytes, offset: int) -> None:
        for stats, pattern in zip(self.stats, self._owner_patterns, strict=True):
            if pattern is None or pattern.matches(line):
                stats.add_unreadable_line(offset)
