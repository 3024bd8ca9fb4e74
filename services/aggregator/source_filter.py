"""One raw object on its way into a day archive: inflate, lines, select, deflate. Pure work for a thread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from exhaust.archive.day_record import SourceRecord
from services.aggregator.inflating import Inflater
from services.aggregator.lines import LineSplitter
from services.aggregator.selecting import Tally

if TYPE_CHECKING:
    from collections.abc import Iterable

    from exhaust.archive.day_archive import DayArchiveWriter
    from exhaust.object_info import ObjectInfo
    from services.aggregator.inflating import InflateLimits
    from services.aggregator.selecting import Selection

# Above this stored size, deflate's best ratio (1032 to 1, zlib's technical notes) can reach the 4 GiB that need zip64.
LARGE_SOURCE: Final = 2**32 // 1032


class SourceFilter:
    """Turns an object's stored bytes into bytes of the archive. A member is only begun by a line that leaves."""

    def __init__(
        self,
        source: ObjectInfo,
        member: str,
        writer: DayArchiveWriter,
        selection: Selection,
        limits: InflateLimits,
        max_line_bytes: int,
    ) -> None:
        self._source = source
        self._member = member
        self._writer = writer
        self._selection = selection
        self._inflater = Inflater(source.key, limits)
        self._lines = LineSplitter(source.key, max_line_bytes)
        self._tally = Tally()
        self._begun = False

    def feed(self, chunk: bytes) -> bytes:
        """Archive bytes that are ready after the next stored bytes.

        Raises:
            SourceObjectError: the object is corrupt or exceeds a limit.
        """
        return b"".join(self._pass_on(self._lines.feed(piece)) for piece in self._inflater.feed(chunk))

    def finish(self) -> bytes:
        """The rest, when the object has ended.

        Raises:
            SourceObjectError: it ended too early.
        """
        parts = [self._pass_on(self._lines.feed(piece)) for piece in self._inflater.finish()]
        parts.append(self._pass_on(self._lines.finish()))
        if self._begun:
            parts.append(self._writer.end_member())
        return b"".join(parts)

    def record(self) -> SourceRecord:
        """What the object gave."""
        return SourceRecord(
            object=self._source.key,
            etag=self._source.etag,
            size=self._source.size,
            events=self._tally.events,
            bytes=self._tally.bytes,
            unreadable=self._tally.unreadable,
        )

    def _pass_on(self, lines: Iterable[bytes]) -> bytes:
        data = self._selection.select(lines, self._tally)
        if not data:
            return b""
        header = b""
        if not self._begun:
            header = self._writer.begin_member(self._member, maybe_large=self._source.size >= LARGE_SOURCE)
            self._begun = True
        return header + self._writer.write(data)
