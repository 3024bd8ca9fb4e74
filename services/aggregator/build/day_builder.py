"""The day builder finds the archive of one day of one resource, or has it built."""

from __future__ import annotations

from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from exhaust.domain.catalogue import Layout
from exhaust.process.failpoints import failpoint
from exhaust.s3.errors import ObjectMissingError
from services.aggregator.archive.day_summary import DaySummary
from services.aggregator.build.day_plan import DayPlan, plan_day
from services.aggregator.build.day_scan import DayScanner
from services.aggregator.build.resource_folders import may_hold_events_of
from services.aggregator.build.scan_workers import open_scan_workers
from services.aggregator.build.shared_scans import SharedScans
from services.aggregator.unknown_dataset import UnknownDatasetError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from exhaust.domain.catalogue import Catalogue, Dataset
    from exhaust.s3.object_info import ObjectInfo
    from exhaust.s3.store import ObjectStore
    from schemas.events import DayRequested
    from services.aggregator.settings import AggregatorSettings


@dataclass(frozen=True, slots=True)
class BuiltDay:
    """A durable day archive.

    Attributes:
        reused: True when it existed before, or another request had asked for it before.
    """

    summary: DaySummary
    reused: bool


class DayBuilder:
    """Builds day archives, or finds them built."""

    def __init__(
        self, objects: ObjectStore, catalogue: Catalogue, scans: SharedScans, settings: AggregatorSettings
    ) -> None:
        self._objects = objects
        self._catalogue = catalogue
        self._scans = scans
        self._settings = settings

    def executor_elsewhere(self, dataset_id: str) -> str | None:
        """Return the job elsewhere that builds a dataset; None when it is built here, or unknown."""
        dataset = self._catalogue.find(dataset_id)
        return None if dataset is None or dataset.is_built_here else dataset.executor

    async def build(self, request: DayRequested) -> BuiltDay:
        """Return the archive of a day as soon as it is durable.

        Raises:
            SourceObjectError: names the object that cannot be exported.
            UnknownDatasetError: there is no such dataset.
            ExhaustError: SERVICE_UNAVAILABLE while something is away.
        """
        dataset = self._catalogue.with_id(request.datasetid)
        if dataset is None:
            raise UnknownDatasetError(request.datasetid)
        with self._scans.lookup_in_progress(dataset.id, request.day):
            channel = self._settings.default_channel
            sources = await list_sources(
                self._objects, self._settings.s3_raw_bucket, dataset, request, default_channel=channel
            )
            failpoint("day.after_listing")
            plan = plan_day(dataset, request, sources, default_channel=channel)
            found = await self._find(plan)
            if found is not None:
                return BuiltDay(found, reused=True)
            pending = self._scans.enqueue(plan)
        return BuiltDay(await pending.result(), reused=pending.coalesced)

    async def _find(self, plan: DayPlan) -> DaySummary | None:
        """Return the summary of the archive if it was built before."""
        try:
            return DaySummary.from_json(await self._objects.get(self._settings.s3_exhaust_bucket, plan.summary_key))
        except ObjectMissingError:
            return None


async def list_sources(
    objects: ObjectStore, bucket: str, dataset: Dataset, request: DayRequested, *, default_channel: str
) -> list[ObjectInfo]:
    """List the raw objects that may hold events of a resource received on a day, in key order.

    In a shared layout these are all objects of the day, in a resource layout those in some folders, see
    resource_folders.py.
    """
    if dataset.layout is Layout.SHARED:
        prefixes = [dataset.prefix]
    else:
        prefixes = [
            f"{dataset.prefix}{folder}/"
            async for folder in objects.list_folders(bucket, dataset.prefix)
            if may_hold_events_of(folder, request.resourceid, owner=request.owner, default_channel=default_channel)
        ]
    sources = []
    for prefix in prefixes:
        sources += [
            found
            async for found in objects.list(bucket, f"{prefix}{request.day.isoformat()}-")
            if "/" not in found.key.removeprefix(prefix)  # a deeper folder may belong to another dataset
        ]
    return sorted(sources, key=lambda source: source.key)


@asynccontextmanager
async def open_day_builder(
    objects: ObjectStore,
    catalogue: Catalogue,
    settings: AggregatorSettings,
    count_read: Callable[[int], None] = lambda _size: None,
) -> AsyncIterator[DayBuilder]:
    """Open a day builder with scan workers of its own; both end with the block. For `count_read` see DayScanner."""
    demand: Counter[str] = Counter()
    async with open_scan_workers(settings.cores, demand) as workers:
        scans = SharedScans(DayScanner(objects, workers, settings, count_read), demand, at_once=settings.cores)
        try:
            yield DayBuilder(objects, catalogue, scans, settings)
        finally:
            await scans.close()
