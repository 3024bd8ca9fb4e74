"""Build: the archive of one day of one resource, found or written."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from exhaust.domain.catalogue import Layout
from exhaust.errors import ErrorCode, ExhaustError
from exhaust.s3.store import ObjectMissingError
from services.aggregator.archive.day_summary import DaySummary
from services.aggregator.build.day_plan import DayPlan, plan_day
from services.aggregator.build.day_scan import DayScanner
from services.aggregator.build.lanes import open_lanes
from services.aggregator.build.shared_scans import SharedScans
from telemetry.resource_ids import canonical_resource_id, resource_id

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import date

    from exhaust.domain.catalogue import Catalogue, Dataset
    from exhaust.s3.object_info import ObjectInfo
    from exhaust.s3.store import Objects
    from schemas.events import DayRequested
    from services.aggregator.settings import AggregatorSettings


@dataclass(frozen=True, slots=True)
class BuiltDay:
    """A durable day archive; `reused` when it existed already."""

    summary: DaySummary
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

    async def build(self, requested: DayRequested) -> BuiltDay:
        """The archive of the day that is requested, durable.

        Raises:
            ExhaustError: SourceObjectError names the object that cannot be exported.
        """
        dataset = self._catalogue.find(requested.datasetid)
        if dataset is None:
            raise ExhaustError(
                ErrorCode.INTERNAL_ERROR, f"dataset {requested.datasetid} is not in the aggregator's catalogue"
            )
        with self._scans.deciding(dataset.id, requested.day):
            sources = await list_sources(
                self._objects, self._settings.s3_raw_bucket, dataset, requested.resourceid, requested.day
            )
            plan = plan_day(dataset, requested, sources, default_channel=self._settings.default_channel)
            found = await self._find(plan)
            if found is not None:
                return BuiltDay(found, reused=True)
            promise = self._scans.promise(plan)
        return BuiltDay(await promise.kept(), reused=promise.joined)

    async def _find(self, plan: DayPlan) -> DaySummary | None:
        """The summary of the archive, if it was built before."""
        try:
            return DaySummary.from_json(await self._objects.get(self._settings.s3_exhaust_bucket, plan.summary_key))
        except ObjectMissingError:
            return None


async def list_sources(objects: Objects, bucket: str, dataset: Dataset, resource: str, day: date) -> list[ObjectInfo]:
    """The raw objects that may hold events of a resource received on a day, in key order.

    In a shared layout these are all objects of the day. In a resource layout they are those in the folders whose name
    is the resource id, in any of its forms, or the id of the partner or channel that it stands for.
    """
    if dataset.layout is Layout.SHARED:
        prefixes = [dataset.prefix]
    else:
        prefixes = [
            f"{dataset.prefix}{folder}/"
            async for folder in objects.folders(bucket, dataset.prefix)
            if resource in {folder, canonical_resource_id(folder), resource_id(folder)}
        ]
    sources = []
    for prefix in prefixes:
        sources += [
            found
            async for found in objects.list(bucket, f"{prefix}{day.isoformat()}-")
            if "/" not in found.key.removeprefix(prefix)  # a deeper folder may belong to another dataset
        ]
    return sorted(sources, key=lambda source: source.key)


@asynccontextmanager
async def open_day_builder(
    objects: Objects, catalogue: Catalogue, settings: AggregatorSettings
) -> AsyncIterator[DayBuilder]:
    """A builder with its lanes; both end with the block."""
    async with open_lanes(settings.cores) as lanes:
        scans = SharedScans(DayScanner(objects, lanes, settings), at_once=settings.cores)
        try:
            yield DayBuilder(objects, catalogue, scans, settings)
        finally:
            await scans.close()
