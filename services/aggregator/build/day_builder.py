"""Build: the archive of one day of one resource, found or written.

list → open → inflate → lines → select → deflate → upload. Listing is in sources.py; opening, and bringing the parts
together in order, in day_scan.py; inflate to deflate in scan/, in processes of their own; uploading in
archive_upload.py. Nothing is held whole.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from exhaust.domain.catalogue import Layout
from exhaust.domain.object_keys import day_archive_key, day_record_key
from exhaust.errors import ErrorCode, ExhaustError
from exhaust.s3.store import ObjectMissingError
from services.aggregator.archive.day_record import DayRecord
from services.aggregator.archive.deflate import deflater_id
from services.aggregator.archive.fingerprint import ArchiveBasis, day_fingerprint, listing_fingerprint
from services.aggregator.build.day_scan import Buckets, DayScanner, WantedArchive
from services.aggregator.build.lanes import open_lanes
from services.aggregator.build.shared_scans import ScanKey, SharedScans
from services.aggregator.build.sources import day_sources
from services.aggregator.scan.inflating import Limits
from services.aggregator.scan.selecting import Selection

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from exhaust.domain.catalogue import Catalogue, Dataset
    from exhaust.s3.store import Objects
    from schemas.events import DayRequested
    from services.aggregator.build.shared_scans import Promise
    from services.aggregator.settings import AggregatorSettings


@dataclass(frozen=True, slots=True)
class BuiltDay:
    """A durable day archive; `reused` when it existed already."""

    record: DayRecord
    reused: bool


class DayBuilder:
    """Builds day archives, or finds them built."""

    def __init__(
        self, objects: Objects, catalogue: Catalogue, scans: SharedScans, settings: AggregatorSettings
    ) -> None:
        self._objects = objects
        self._catalogue = catalogue
        self._scans = scans
        self._settings = settings

    async def build(self, wanted: DayRequested) -> BuiltDay:
        """The archive of the day that is wanted, durable.

        Raises:
            ExhaustError: SourceObjectError names the object that cannot be exported.
        """
        dataset = self._dataset(wanted)
        with self._scans.deciding(dataset.id, wanted.day):
            found = await self._found_or_promised(dataset, wanted)
        if isinstance(found, DayRecord):
            return BuiltDay(found, reused=True)
        return BuiltDay(await found.kept(), reused=found.joined)

    async def _found_or_promised(self, dataset: Dataset, wanted: DayRequested) -> DayRecord | Promise:
        sources = await day_sources(self._objects, self._settings.s3_raw_bucket, dataset, wanted.resourceid, wanted.day)
        selection = self._selection(dataset, wanted)
        fingerprint = day_fingerprint(_basis(dataset, wanted, selection), sources)
        place = (dataset.id, wanted.resourceid, wanted.day, fingerprint)
        record_key = day_record_key(*place)
        try:
            return DayRecord.from_json(await self._objects.get(self._settings.s3_exhaust_bucket, record_key))
        except ObjectMissingError:
            key = day_archive_key(*place)
            scan = ScanKey(dataset.id, wanted.day, listing_fingerprint(sources), key if selection.takes_all else None)
            return self._scans.promise(scan, sources, WantedArchive(selection, key, record_key))

    def _dataset(self, wanted: DayRequested) -> Dataset:
        dataset = self._catalogue.find(wanted.datasetid)
        if dataset is None:
            raise ExhaustError(
                ErrorCode.INTERNAL_ERROR, f"dataset {wanted.datasetid} is not in the aggregator's catalogue"
            )
        return dataset

    def _selection(self, dataset: Dataset, wanted: DayRequested) -> Selection:
        shared = dataset.layout is Layout.SHARED
        return Selection(
            resource=wanted.resourceid if shared else None,
            owner=wanted.owner if shared else None,
            tags=wanted.tags,
            event_kinds=dataset.event_kinds,
            default_channel=self._settings.default_channel,
        )


@asynccontextmanager
async def open_day_builder(
    objects: Objects, catalogue: Catalogue, settings: AggregatorSettings
) -> AsyncIterator[DayBuilder]:
    """A builder with its lanes; both end with the block."""
    limits = Limits(
        max_bytes=settings.max_object_bytes,
        max_ratio=settings.max_ratio,
        ratio_grace=settings.ratio_grace_bytes,
        max_members=settings.max_members,
        max_line=settings.max_line_bytes,
    )
    buckets = Buckets(settings.s3_raw_bucket, settings.s3_exhaust_bucket)
    async with open_lanes(settings.cores) as lanes:
        scans = SharedScans(DayScanner(objects, lanes, buckets, limits), at_once=settings.cores)
        try:
            yield DayBuilder(objects, catalogue, scans, settings)
        finally:
            await scans.close()


def _basis(dataset: Dataset, wanted: DayRequested, selection: Selection) -> ArchiveBasis:
    return ArchiveBasis(
        dataset=dataset.id,
        layout=dataset.layout,
        event_kinds=dataset.event_kinds,
        resource=wanted.resourceid,
        tags=selection.tags,
        default_channel=selection.default_channel,
        deflater=deflater_id(),
    )
