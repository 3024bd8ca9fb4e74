"""Upload: one day archive on its way into the bucket, member after member."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, TypeAlias

from services.aggregator.archive.day_archive import DayArchiveWriter
from services.aggregator.archive.day_summary import DaySummary, SourceSummary, UnreadableLine
from services.aggregator.archive.outer_archive import StoredDay
from services.aggregator.archive.received import iso_ms, received_span
from services.aggregator.build.byte_queue import ByteQueue
from services.aggregator.scan.tally import MOST_UNREADABLE_LINES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from exhaust.s3.object_info import ObjectInfo
    from exhaust.s3.store import Objects
    from services.aggregator.build.duplicates import Duplicates
    from services.aggregator.scan.source_scan import Scanned

_WAITING_BYTES: Final = 512 * 1024
# Above this stored size, deflate's best ratio (1032 to 1, zlib's technical notes) can reach the 4 GiB that need zip64.
_LARGE_SOURCE: Final = 2**32 // 1032


# The number of a line, by its object's key and the inflated bytes before it.
LineNumbers: TypeAlias = "Mapping[tuple[str, int], int]"


class ArchiveUpload:
    """Writes one archive while its bytes are made, and keeps count for its summary.

    Attributes:
        unreadable_at: the first lines that are no events: object, and inflated bytes before the line.
        duplicates: counts repeated ids.
    """

    def __init__(self, objects: Objects, bucket: str, key: str, day: date, duplicates: Duplicates) -> None:
        self._objects = objects
        self._bucket = bucket
        self._key = key
        self._day = day
        self._writer = DayArchiveWriter(day)
        self._queue: ByteQueue[bytes] = ByteQueue(_WAITING_BYTES)
        self._sources: list[SourceSummary] = []
        self._versions: Counter[str] = Counter()
        self._moments: list[int] = []  # of the earliest and the latest event
        self._in_member = False
        self.unreadable_at: list[tuple[ObjectInfo, int]] = []
        self.duplicates = duplicates

    async def upload(self) -> None:
        """Upload what is added, until finish.

        Raises:
            ExhaustError: S3 is away.
        """
        await self._objects.upload(
            self._bucket, self._key, self._queue.items(), content_type="application/zip", front=self._header
        )

    async def add(self, source: ObjectInfo, member: str, deflated: bytes) -> None:
        """Add bytes of the deflate stream of a source object's member; the first begin the member."""
        if not self._in_member:
            await self._put(self._writer.begin_member(member, maybe_large=source.size >= _LARGE_SOURCE))
            self._in_member = True
        await self._put(self._writer.add(deflated))

    async def end_source(self, source: ObjectInfo, scanned: Scanned) -> None:
        """Note that a source object has given all it has, and what that was."""
        if scanned.content is not None and self._in_member:
            await self._put(self._writer.end_member(scanned.content))
        self._in_member = False
        tally = scanned.tally
        room = MOST_UNREADABLE_LINES - len(self.unreadable_at)
        self.unreadable_at += [(source, offset) for offset in tally.unreadable_at[:room]]
        self._versions.update(tally.versions)
        moments = [*self._moments, *(moment for moment in (tally.first, tally.last) if moment is not None)]
        self._moments = [min(moments), max(moments)] if moments else []
        self._sources.append(
            SourceSummary(
                object=source.key,
                etag=source.etag,
                size=source.size,
                events=tally.events,
                bytes=scanned.content.size if scanned.content else 0,
                unreadable=tally.unreadable,
            )
        )

    async def finish(self) -> None:
        """Close the archive."""
        await self._put(self._writer.finish())
        await self._queue.end()

    async def summary(self, numbers: LineNumbers) -> DaySummary:
        """What the archive holds, once it is uploaded.

        Args:
            numbers: of the lines at `unreadable_at`.
        """
        first, last = received_span(source.object for source in self._sources if source.events)
        return DaySummary(
            day=self._day,
            key=self._key,
            size=self._writer.size,
            crc32=self._writer.crc32,
            sha256=self._writer.sha256,
            events=sum(source.events for source in self._sources),
            bytes=sum(source.bytes for source in self._sources),
            unreadable=sum(source.unreadable for source in self._sources),
            duplicates=await self.duplicates.count(),
            versions=dict(sorted(self._versions.items())),
            sources=tuple(self._sources),
            unreadable_lines=tuple(
                UnreadableLine(source.key, numbers[source.key, offset]) for source, offset in self.unreadable_at
            ),
            first_received=first,
            last_received=last,
            first_event=iso_ms(self._moments[0]) if self._moments else None,
            last_event=iso_ms(self._moments[1]) if self._moments else None,
        )

    def _header(self) -> bytes:
        return StoredDay(self._day, self._key, self._writer.size, self._writer.crc32).header

    async def _put(self, data: bytes) -> None:
        if data:
            await self._queue.put(data, len(data))
