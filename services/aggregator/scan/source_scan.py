"""The scan of one source object: its chunks become the members of day archives. Pure work on bytes.

Each chunk is inflated (inflater.py), cut into blocks of whole lines (lines.py) and checked to be text (text_check.py);
its events are selected (selector.py, with line_prefilter.py) and deflated (archive/deflate.py). An object that is
selected whole is only counted (whole_object_counter.py); if it is gzip, its own deflate stream passes as it is
(gzip_passthrough.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Final

from services.aggregator.archive.deflate import DeflatedMember
from services.aggregator.scan.gzip_passthrough import ChunkRange, GzipPassthrough
from services.aggregator.scan.inflater import GZIP_MAGIC, Inflater
from services.aggregator.scan.lines import LineCutter
from services.aggregator.scan.selector import Selector
from services.aggregator.scan.size_guard import SizeGuard
from services.aggregator.scan.text_check import TextCheck
from services.aggregator.scan.whole_object_counter import WholeObjectCounter

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from services.aggregator.archive.zip_format import Content
    from services.aggregator.scan.lines import Block
    from services.aggregator.scan.scan_stats import ScanStats
    from services.aggregator.scan.selector import Selection
    from services.aggregator.scan.size_guard import SourceLimits

_NOTHING: Final = ChunkRange(0, 0)
_MAX_HELD_BYTES: Final = 1024 * 1024
_ID_HASH_BATCH: Final = 65_536


@dataclass(frozen=True, slots=True)
class ScanJob:
    """One object to be scanned.

    Attributes:
        name: the object's key, for errors.
        selections: the events to select; a selection that takes all is the only one.
        recompress: deflate the object again, even if its own deflate stream could pass as it is.
    """

    name: str
    limits: SourceLimits
    selections: Sequence[Selection]
    recompress: bool = False


@dataclass(frozen=True, slots=True)
class ScanOutput:
    """The output of one chunk of the object.

    Attributes:
        deflated: for each selection, the next bytes of its member's deflate stream.
        passthrough: the range of the chunk itself that comes next in the only selection's stream.
        id_hashes: for each selection, hashes of event ids, see EventIdHashes.take; not with every chunk.
    """

    deflated: Sequence[bytes]
    passthrough: ChunkRange = _NOTHING
    id_hashes: Sequence[Mapping[int, bytes]] = ()


@dataclass(frozen=True, slots=True)
class ScanResult:
    """The result of the whole object for one selection.

    Attributes:
        content: checksum and sizes of its member; None when nothing was selected, so that there is no member.
        has_events: False when the object is text that does not begin like telemetry, whoever it belongs to.
    """

    stats: ScanStats
    content: Content | None
    has_events: bool


class SourceScan:
    """The scan of one object. A member begins with the first line that is selected for it."""

    def __init__(self, job: ScanJob) -> None:
        self._name = job.name
        self._guard = SizeGuard(job.name, job.limits)
        self._inflater = Inflater(job.name, self._guard)
        self._lines = LineCutter(job.limits.max_line)
        self._text = TextCheck(self._guard)
        whole = job.selections[0].takes_all
        self._selector = WholeObjectCounter() if whole else Selector(job.selections)
        self._members: list[DeflatedMember | None] = [None] * len(job.selections)
        self._may_pass_through = whole and not job.recompress
        self._passthrough: GzipPassthrough | None = None
        self._held = b""

    def feed(self, chunk: bytes) -> ScanOutput:
        """Scan the next chunk.

        Raises:
            SourceObjectError: the object is corrupt, exceeds a limit, or is no text.
            SeveralMembersError: it has to be scanned again with `recompress`.
        """
        if self._may_pass_through:
            self._may_pass_through = False
            if chunk.startswith(GZIP_MAGIC):
                self._passthrough = GzipPassthrough(self._name, self._guard)
        if self._passthrough is not None:
            held, passed = self._pass_through(self._passthrough, chunk)
            return ScanOutput([held], passed, self._take_id_hashes(_ID_HASH_BATCH))
        deflated = self._deflate(self._select(self._inflater.feed(chunk)))
        return ScanOutput(deflated, id_hashes=self._take_id_hashes(_ID_HASH_BATCH))

    def finish(self) -> tuple[ScanOutput, list[ScanResult]]:
        """End the scan when the object has ended; return the last output, and a result for each selection.

        Raises:
            SourceObjectError: the object ended too early, exceeds a limit, or is no text.
        """
        if self._passthrough is not None:
            self._passthrough.finish()
            for block in self._lines.finish():
                self._select_block(block)
            content = self._passthrough.content
            results = [self._result(self._selector.stats[0], content if content.size else None)]
            return ScanOutput([b""], id_hashes=self._take_id_hashes(1)), results
        last = self._deflate(self._select_last())
        ends = [member.finish() if member else b"" for member in self._members]
        results = [
            self._result(stats, member.content if member else None)
            for stats, member in zip(self._selector.stats, self._members, strict=True)
        ]
        deflated = [begun + end for begun, end in zip(last, ends, strict=True)]
        return ScanOutput(deflated, id_hashes=self._take_id_hashes(1)), results

    def _result(self, stats: ScanStats, content: Content | None) -> ScanResult:
        self._text.finish()
        return ScanResult(stats, content, has_events=self._text.has_events or not self._guard.inflated)

    def _take_id_hashes(self, at_least: int) -> list[Mapping[int, bytes]]:
        """Take the hashes that wait, if they are that many."""
        hashes = [stats.id_hashes for stats in self._selector.stats]
        if sum(each.count for each in hashes) < at_least:
            return []
        return [each.take() for each in hashes]

    def _select(self, pieces: Iterable[bytes]) -> Iterator[Sequence[bytes]]:
        return map(self._select_block, chain.from_iterable(map(self._lines.feed, pieces)))

    def _select_block(self, block: Block) -> Sequence[bytes]:
        if not self._text.is_decided:
            self._text.feed(block)
        return self._selector.select(block)

    def _select_last(self) -> Iterator[Sequence[bytes]]:
        yield from self._select(self._inflater.finish())
        yield from map(self._select_block, self._lines.finish())
        yield self._selector.flush()

    def _pass_through(self, passthrough: GzipPassthrough, chunk: bytes) -> tuple[bytes, ChunkRange]:
        """Count what a chunk holds; return bytes that were held back, and the range of the chunk that follows them."""
        passed = _NOTHING
        for found in passthrough.feed(chunk):
            if isinstance(found, ChunkRange):
                passed = found
            else:
                for block in self._lines.feed(found):
                    self._select_block(block)
        if passthrough.content.size:
            held, self._held = self._held, b""
            return held, passed
        # Nothing has been inflated yet, and an object that holds nothing has no member.
        self._held += chunk[passed.start : passed.end]
        if len(self._held) > _MAX_HELD_BYTES:
            raise self._guard.unreadable("the gzip stream goes on without content")
        return b"", _NOTHING

    def _deflate(self, selected: Iterable[Sequence[bytes]]) -> list[bytes]:
        deflated: list[list[bytes]] = [[] for _ in self._members]
        for lines_by_selection in selected:
            for index, lines in enumerate(lines_by_selection):
                if lines:
                    member = self._members[index] = self._members[index] or DeflatedMember()
                    deflated[index].append(member.write(lines))
        return [b"".join(parts) for parts in deflated]
