"""The upload of one day archive: its bytes leave while they are made, and its summary is counted meanwhile.

A member is held until its sizes are known, so that they stand in front of its data; a member of which too much would be
held is followed by them instead. Readers that go from front to back want eight-byte sizes behind members from 4 GiB on
only. So a member gets four bytes at first. If it outgrows them, which is rare, the archive has to be written again.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, TypeAlias

from services.aggregator.archive.day_archive import DayArchiveWriter
from services.aggregator.archive.day_summary import DaySummary, SourceSummary, UnreadableLine
from services.aggregator.archive.outer_archive import StoredDay
from services.aggregator.archive.received import iso_ms, received_span
from services.aggregator.build.byte_queue import ByteQueue
from services.aggregator.build.held_member import MAX_HELD_BYTES
from services.aggregator.scan.scan_stats import MAX_UNREADABLE_LINES

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import date

    from exhaust.s3.object_info import ObjectInfo
    from exhaust.s3.store import ObjectStore
    from services.aggregator.archive.zip_format import Content
    from services.aggregator.build.held_member import HeldMember
    from services.aggregator.build.repeated_ids import RepeatedIdCounter
    from services.aggregator.scan.source_scan import ScanResult

_MAX_WAITING_BYTES: Final = 512 * 1024

# Line numbers, by the key of the line's object and the inflated bytes before the line.
LineNumbers: TypeAlias = "Mapping[tuple[str, int], int]"


class ArchiveUpload:
    """One day archive on its way into the bucket.

    `upload` runs as a task of its own. Meanwhile the caller adds the members in order: `add` as often as needed, then
    `end_source`, for each source object; and `finish` once. Afterwards `summary` says what the archive holds.

    Args:
        objects: the store.
        bucket: where the archive shall lie.
        key: its name.
        day: of the archive.
        repeated_ids: counts the event ids that come again.
        held: holds nothing.
        large: keys of the source objects whose members need eight-byte sizes.

    Attributes:
        outgrown: keys of those that turned out to need them, too. With any, the archive is not whole.
        unreadable_lines: the first lines that are no events: their object, and the inflated bytes before the line.
        repeated_ids: counts the event ids that come again.
    """

    def __init__(
        self,
        objects: ObjectStore,
        bucket: str,
        key: str,
        day: date,
        *,
        repeated_ids: RepeatedIdCounter,
        held: HeldMember,
        large: Collection[str] = (),
    ) -> None:
        self._objects = objects
        self._bucket = bucket
        self._key = key
        self._day = day
        self._writer = DayArchiveWriter(day)
        self._queue: ByteQueue[bytes] = ByteQueue(_MAX_WAITING_BYTES)
        self._sources: list[SourceSummary] = []
        self._versions: Counter[str] = Counter()
        self._event_times_ms: list[int] = []  # of the earliest and the latest event
        self._held = held
        self._large = large
        self._in_member = False
        self.outgrown: set[str] = set()
        self.unreadable_lines: list[tuple[ObjectInfo, int]] = []
        self.repeated_ids = repeated_ids

    async def upload(self) -> None:
        """Upload what is added, until `finish`.

        Raises:
            ExhaustError: S3 is away.
        """
        await self._objects.upload(
            self._bucket, self._key, self._queue.items(), content_type="application/zip", leading_bytes=self._header
        )

    async def add(self, source: ObjectInfo, member: str, deflated: bytes) -> None:
        """Add bytes of the deflate stream of a source object's member."""
        if self.outgrown:
            return
        if self._in_member:
            await self._put(self._writer.add(deflated))
            return
        self._held.add(deflated)
        if self._held.size > MAX_HELD_BYTES:
            await self._begin(self._writer.begin_member(member, large=source.key in self._large))

    async def end_source(self, source: ObjectInfo, member: str, result: ScanResult) -> None:
        """End the member of a source object, if it has one, and count what the object gave."""
        if result.content is not None:
            await self._end_member(source, member, result.content)
        stats = result.stats
        left = MAX_UNREADABLE_LINES - len(self.unreadable_lines)
        self.unreadable_lines += [(source, offset) for offset in stats.unreadable_offsets[:left]]
        self._versions.update(stats.versions)
        times = [*self._event_times_ms, *(ms for ms in (stats.first_event_ms, stats.last_event_ms) if ms is not None)]
        self._event_times_ms = [min(times), max(times)] if times else []
        self._sources.append(
            SourceSummary(
                object=source.key,
                etag=source.etag,
                size=source.size,
                events=stats.events,
                bytes=result.content.size if result.content else 0,
                unreadable=stats.unreadable,
                member=member if result.content else None,
            )
        )

    async def finish(self) -> None:
        """Close the archive."""
        await self._put(self._writer.finish())
        await self._queue.end()

    async def summary(self, numbers: LineNumbers) -> DaySummary:
        """Return the summary of the archive, once it is uploaded.

        Args:
            numbers: those of `unreadable_lines`.
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
            duplicates=await self.repeated_ids.count(),
            versions=dict(sorted(self._versions.items())),
            sources=tuple(self._sources),
            unreadable_lines=tuple(
                UnreadableLine(source.key, numbers[source.key, offset]) for source, offset in self.unreadable_lines
            ),
            first_received=first,
            last_received=last,
            first_event=iso_ms(self._event_times_ms[0]) if self._event_times_ms else None,
            last_event=iso_ms(self._event_times_ms[1]) if self._event_times_ms else None,
        )

    async def _begin(self, header: bytes) -> None:
        """Begin a member: write its header and what is held of it."""
        self._in_member = True
        await self._put(header)
        for deflated in self._held.take():
            await self._put(self._writer.add(deflated))

    async def _end_member(self, source: ObjectInfo, member: str, content: Content) -> None:
        streamed = content.compressed_size > MAX_HELD_BYTES
        if streamed and content.needs_zip64 and source.key not in self._large:
            self.outgrown.add(source.key)
        if self.outgrown:
            return
        if not self._in_member:
            await self._begin(self._writer.begin_member(member, content))
        await self._put(self._writer.end_member(content))
        self._in_member = False

    def _header(self) -> bytes:
        return StoredDay(self._day, self._key, self._writer.size, self._writer.crc32).header

    async def _put(self, data: bytes) -> None:
        if data:
            await self._queue.put(data, len(data))
