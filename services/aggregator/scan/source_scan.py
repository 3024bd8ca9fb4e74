"""One raw object on its way into day archives: inflate → lines → select → deflate. Pure work on bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from services.aggregator.archive.deflate import DeflatedMember
from services.aggregator.scan.census import Census
from services.aggregator.scan.inflating import GZIP_MAGIC, Inflater
from services.aggregator.scan.lines import LineBlocks
from services.aggregator.scan.passing import GzipPassage, Passage
from services.aggregator.scan.selecting import Selector
from services.aggregator.scan.size_guard import Gauge

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from services.aggregator.archive.zip_format import Content
    from services.aggregator.scan.selecting import Selection
    from services.aggregator.scan.size_guard import Limits
    from services.aggregator.scan.tally import Tally

NOTHING: Final = Passage(0, 0)
MOST_HELD: Final = 1024 * 1024
MIDS_AT_ONCE: Final = 65_536


@dataclass(frozen=True, slots=True)
class ScanOrder:
    """An object to be scanned.

    Attributes:
        name: its key, for errors.
        selections: what is wanted of it; one that takes all is alone.
        deflate_anew: never pass an object's own deflate stream on.
    """

    name: str
    limits: Limits
    selections: Sequence[Selection]
    deflate_anew: bool = False


@dataclass(frozen=True, slots=True)
class Ready:
    """What a chunk of the object gave.

    Attributes:
        deflated: for each selection, the next bytes of its member's deflate stream.
        passage: the part of the chunk itself that comes next in the only selection's stream.
        mids: for each selection, hashes of ids of its events, by bucket; not with every chunk.
    """

    deflated: Sequence[bytes]
    passage: Passage = NOTHING
    mids: Sequence[Mapping[int, bytes]] = ()


@dataclass(frozen=True, slots=True)
class Scanned:
    """What the whole object gave to one selection.

    Attributes:
        content: of its member; None when nothing was selected, so that there is none.
    """

    tally: Tally
    content: Content | None


class SourceScan:
    """Turns an object's stored bytes into members of day archives. A member only begins with a line that leaves."""

    def __init__(self, order: ScanOrder) -> None:
        self._order = order
        self._gauge = Gauge(order.name, order.limits)
        self._inflater = Inflater(order.name, self._gauge)
        self._lines = LineBlocks(order.name, order.limits.max_line)
        whole = order.selections[0].takes_all
        self._selector = Census() if whole else Selector(order.selections)
        self._members: list[DeflatedMember | None] = [None] * len(order.selections)
        self._may_pass = whole and not order.deflate_anew
        self._passage: GzipPassage | None = None
        self._held = b""

    def feed(self, chunk: bytes) -> Ready:
        """What is ready after the next stored bytes.

        Raises:
            SourceObjectError: the object is corrupt or exceeds a limit.
            SeveralMembersError: it has to be scanned again with `deflate_anew`.
        """
        if self._may_pass:
            self._may_pass = False
            if chunk.startswith(GZIP_MAGIC):
                self._passage = GzipPassage(self._order.name, self._gauge)
        if self._passage is not None:
            held, passed = self._pass_on(self._passage, chunk)
            return Ready([held], passed, self._mids(MIDS_AT_ONCE))
        deflated = self._deflated(self._selected(self._inflater.feed(chunk)))
        return Ready(deflated, mids=self._mids(MIDS_AT_ONCE))

    def finish(self) -> tuple[Ready, list[Scanned]]:
        """The rest, when the object has ended.

        Raises:
            SourceObjectError: it ended too early, or exceeds a limit.
        """
        if self._passage is not None:
            self._passage.finish()
            self._selector.select(self._lines.finish())
            content = self._passage.content
            scanned = [Scanned(self._selector.tallies[0], content if content.size else None)]
            return Ready([b""], mids=self._mids(1)), scanned
        ready = self._deflated(self._last_selected())
        ends = [member.finish() if member else b"" for member in self._members]
        scanned = [
            Scanned(tally, member.content if member else None)
            for tally, member in zip(self._selector.tallies, self._members, strict=True)
        ]
        return Ready([begun + end for begun, end in zip(ready, ends, strict=True)], mids=self._mids(1)), scanned

    def _mids(self, at_least: int) -> list[Mapping[int, bytes]]:
        """The hashes of ids that wait, when there are that many."""
        tallies = self._selector.tallies
        if sum(tally.mids.count for tally in tallies) < at_least:
            return []
        return [tally.mids.take() for tally in tallies]

    def _selected(self, pieces: Iterable[bytes]) -> Iterator[Sequence[bytes]]:
        for block in filter(None, map(self._lines.feed, pieces)):
            yield self._selector.select(block)

    def _last_selected(self) -> Iterator[Sequence[bytes]]:
        yield from self._selected(self._inflater.finish())
        if last := self._lines.finish():
            yield self._selector.select(last)
        yield self._selector.flush()

    def _pass_on(self, passage: GzipPassage, chunk: bytes) -> tuple[bytes, Passage]:
        passed = NOTHING
        for found in passage.feed(chunk):
            if isinstance(found, Passage):
                passed = found
            else:
                self._selector.select(self._lines.feed(found))
        if passage.content.size:
            held, self._held = self._held, b""
            return held, passed
        # Nothing has been inflated yet, and of an object that holds nothing there is no member.
        self._held += chunk[passed.start : passed.end]
        if len(self._held) > MOST_HELD:
            raise self._gauge.unreadable("the gzip stream goes on without content")
        return b"", NOTHING

    def _deflated(self, selected: Iterable[Sequence[bytes]]) -> list[bytes]:
        ready: list[list[bytes]] = [[] for _ in self._members]
        for leaving in selected:
            for index, data in enumerate(leaving):
                if data:
                    member = self._members[index] = self._members[index] or DeflatedMember()
                    ready[index].append(member.write(data))
        return [b"".join(parts) for parts in ready]
