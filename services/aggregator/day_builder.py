"""Build: the archive of one day of one resource, from the raw objects of that day.

list → open → inflate → lines → select → deflate → upload, joined end to end; nothing is held whole.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from exhaust.archive.day_archive import DayArchiveWriter
from exhaust.archive.day_record import DayRecord
from exhaust.archive.deflate import deflater_id
from exhaust.archive.fingerprint import ArchiveBasis, day_fingerprint
from exhaust.archive.keys import day_archive_key, day_record_key
from exhaust.archive.member_names import member_names
from exhaust.archive.received import received_span
from exhaust.errors import ErrorCode, ExhaustError
from exhaust.objects import ObjectMissingError
from services.aggregator.inflating import InflateLimits
from services.aggregator.selecting import Selection
from services.aggregator.source_filter import SourceFilter
from services.aggregator.sources import day_sources

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from exhaust.archive.day_record import SourceRecord
    from exhaust.catalogue import Catalogue
    from exhaust.object_info import ObjectInfo
    from exhaust.objects import Objects
    from schemas.events import DayRequested
    from services.aggregator.settings import AggregatorSettings


@dataclass(frozen=True, slots=True)
class BuiltDay:
    """A durable day archive; `reused` when it existed already."""

    record: DayRecord
    reused: bool


class DayBuilder:
    """Builds day archives, or finds them built."""

    def __init__(self, objects: Objects, catalogue: Catalogue, settings: AggregatorSettings) -> None:
        self._objects = objects
        self._catalogue = catalogue
        self._settings = settings
        self._limits = InflateLimits(settings.max_object_bytes, settings.max_ratio, settings.ratio_grace_bytes)

    async def build(self, wanted: DayRequested) -> BuiltDay:
        """The archive of the day that is wanted, durable.

        Raises:
            ExhaustError: ObjectInfoError names the object that cannot be exported.
        """
        selection = self._selection(wanted)
        sources = await day_sources(
            self._objects, self._settings.s3_raw_bucket, selection.dataset, selection.resource, wanted.day
        )
        fingerprint = day_fingerprint(_basis(selection), sources)
        place = (selection.dataset.id, selection.resource, wanted.day, fingerprint)
        bucket = self._settings.s3_exhaust_bucket
        record_key = day_record_key(*place)
        try:
            return BuiltDay(DayRecord.from_json(await self._objects.get(bucket, record_key)), reused=True)
        except ObjectMissingError:
            record = await self._write(selection, sources, wanted, day_archive_key(*place))
        # Last, because the record is what says that the archive is there.
        await self._objects.put(bucket, record_key, record.to_json(), content_type="application/json")
        return BuiltDay(record, reused=False)

    def _selection(self, wanted: DayRequested) -> Selection:
        dataset = self._catalogue.find(wanted.datasetid)
        if dataset is None:
            raise ExhaustError(
                ErrorCode.INTERNAL_ERROR, f"dataset {wanted.datasetid} is not in the aggregator's catalogue"
            )
        return Selection(dataset, wanted.resourceid, wanted.tags, self._settings.default_channel)

    async def _write(
        self, selection: Selection, sources: list[ObjectInfo], wanted: DayRequested, key: str
    ) -> DayRecord:
        writer = DayArchiveWriter(wanted.day)
        records: list[SourceRecord] = []
        await self._objects.upload(
            self._settings.s3_exhaust_bucket,
            key,
            self._archive(writer, selection, sources, records),
            content_type="application/zip",
        )
        first, last = received_span(record.object for record in records if record.events)
        return DayRecord(
            day=wanted.day,
            key=key,
            size=writer.size,
            crc32=writer.crc32,
            sha256=writer.sha256,
            events=sum(record.events for record in records),
            bytes=sum(record.bytes for record in records),
            unreadable=sum(record.unreadable for record in records),
            sources=tuple(records),
            first_received=first,
            last_received=last,
        )

    async def _archive(
        self,
        writer: DayArchiveWriter,
        selection: Selection,
        sources: list[ObjectInfo],
        records: list[SourceRecord],
    ) -> AsyncGenerator[bytes, None]:
        """The archive's bytes; the work on them runs in threads, so that the event loop stays free."""
        members = member_names([source.key for source in sources])
        for source, member in zip(sources, members, strict=True):
            chain = SourceFilter(source, member, writer, selection, self._limits, self._settings.max_line_bytes)
            async with aclosing(self._objects.stream(self._settings.s3_raw_bucket, source)) as chunks:
                async for chunk in chunks:
                    if ready := await asyncio.to_thread(chain.feed, chunk):
                        yield ready
            if ready := await asyncio.to_thread(chain.finish):
                yield ready
            records.append(chain.record())
        yield writer.finish()


def _basis(selection: Selection) -> ArchiveBasis:
    return ArchiveBasis(
        dataset=selection.dataset.id,
        layout=selection.dataset.layout,
        event_kinds=selection.dataset.event_kinds,
        resource=selection.resource,
        tags=selection.tags,
        default_channel=selection.default_channel,
        deflater=deflater_id(),
    )
