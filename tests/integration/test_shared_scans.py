"""Archives of the same day that are wanted at the same time are built by one scan."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from exhaust.domain.catalogue import Catalogue, Layout
from exhaust.errors import SourceObjectError
from services.aggregator.build.day_builder import DayBuilder
from services.aggregator.build.day_scan import DayScanner
from services.aggregator.build.scan_workers import ScanWorkerPool, open_scan_workers
from services.aggregator.build.shared_scans import MAX_ARCHIVES_PER_SCAN, SharedScans
from telemetry.resource_ids import resource_id
from tests.support.raw_dataset import DAY, RawDataset, event, packed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from exhaust.s3.store import ObjectStore
    from exhaust.settings import S3RawBucketSettings
    from services.aggregator.archive.day_summary import DaySummary
    from services.aggregator.build.day_plan import DayPlan
    from services.aggregator.settings import AggregatorSettings

CHANNELS = [f"in.channel.{number}" for number in range(MAX_ARCHIVES_PER_SCAN + 2)]
NAME = "2026-11-01-1793491200000.json.gz"


class CountingScanner(DayScanner):
    """The real scanner, which also notes how many archives each of its scans wrote."""

    def __init__(self, objects: ObjectStore, pool: ScanWorkerPool, settings: AggregatorSettings) -> None:
        super().__init__(objects, pool, settings)
        self.scans: list[int] = []
        self.began = asyncio.Event()

    async def write(self, plans: Sequence[DayPlan]) -> list[DaySummary]:
        self.scans.append(len(plans))
        self.began.set()
        return await super().write(plans)


@pytest.fixture
async def dataset(objects: ObjectStore, s3_settings: S3RawBucketSettings) -> RawDataset:
    made = RawDataset.new(objects, s3_settings, Layout.SHARED)
    await made.put(NAME, packed(*(event(number, channel=channel) for number, channel in enumerate(CHANNELS))))
    return made


@asynccontextmanager
async def shared(dataset: RawDataset) -> AsyncIterator[tuple[SharedScans, CountingScanner]]:
    async with open_scan_workers(1) as pool:
        scanner = CountingScanner(dataset.objects, pool, dataset.settings)
        scans = SharedScans(scanner, Counter(), at_once=1)
        try:
            yield scans, scanner
        finally:
            await scans.close()


async def plan_for(dataset: RawDataset, channel: str) -> DayPlan:
    return await dataset.plan(resource=resource_id(channel), owner=channel)


async def write(scans: SharedScans, plan: DayPlan) -> tuple[DaySummary, bool]:
    pending = scans.enqueue(plan)
    return await pending.result(), pending.coalesced


async def test_archives_that_wait_share_scans_and_are_what_they_would_be_alone(dataset: RawDataset) -> None:
    plans = [await plan_for(dataset, channel) for channel in CHANNELS]
    async with shared(dataset) as (scans, scanner):
        written = await asyncio.gather(*(write(scans, plan) for plan in plans))
        assert scanner.scans == [MAX_ARCHIVES_PER_SCAN, 2]
        for number, (channel, summary) in enumerate(zip(CHANNELS, [summary for summary, _ in written], strict=True)):
            assert list((await dataset.members(summary)).values()) == [event(number, channel=channel)]
            assert (summary, False) == await write(scans, plans[number])
    assert scanner.scans == [MAX_ARCHIVES_PER_SCAN, 2, *[1] * len(CHANNELS)]


async def test_an_archive_that_many_want_is_written_once(dataset: RawDataset) -> None:
    plan = await plan_for(dataset, CHANNELS[0])
    async with shared(dataset) as (scans, scanner):
        asked = [write(scans, plan) for _ in range(5)]
        written = await asyncio.gather(*asked)
        assert scanner.scans == [1]
        assert [summary for summary, _ in written] == [written[0][0]] * 5
        assert [coalesced for _, coalesced in written] == [False, True, True, True, True]


async def test_archives_that_are_wanted_while_a_scan_runs_share_the_next(dataset: RawDataset) -> None:
    plans = [await plan_for(dataset, channel) for channel in CHANNELS[:4]]
    async with shared(dataset) as (scans, scanner):
        first = asyncio.create_task(write(scans, plans[0]))
        await asyncio.wait_for(scanner.began.wait(), 30)
        later = [write(scans, plan) for plan in plans[1:]]
        await asyncio.gather(first, *later)
        assert scanner.scans == [1, 3]


async def test_a_scan_waits_for_lookups_in_progress(dataset: RawDataset) -> None:
    async with shared(dataset) as (scans, scanner):
        with scans.lookup_in_progress(dataset.dataset.id, DAY), scans.lookup_in_progress(dataset.dataset.id, DAY):
            first = scans.enqueue(await plan_for(dataset, CHANNELS[0]))
            # Listing takes time enough for a scan to begin.
            second = scans.enqueue(await plan_for(dataset, CHANNELS[1]))
        assert (await first.result()).events == (await second.result()).events == 1
        assert scanner.scans == [2]


async def test_a_scan_does_not_wait_long_for_a_lookup(dataset: RawDataset) -> None:
    plan = await plan_for(dataset, CHANNELS[0])
    async with shared(dataset) as (scans, _):
        with scans.lookup_in_progress(dataset.dataset.id, DAY):
            summary, _ = await asyncio.wait_for(write(scans, plan), 30)
    assert summary.events == 1


async def test_requests_for_one_day_share_one_scan(dataset: RawDataset) -> None:
    async with shared(dataset) as (scans, scanner):
        builder = DayBuilder(dataset.objects, Catalogue({dataset.dataset.id: dataset.dataset}), scans, dataset.settings)
        asked = [
            dataset.message(resource=resource_id(channel), owner=channel)
            for channel in CHANNELS[:MAX_ARCHIVES_PER_SCAN]
        ]
        built = await asyncio.gather(*map(builder.build, asked))
        assert [(day.summary.events, day.reused) for day in built] == [(1, False)] * MAX_ARCHIVES_PER_SCAN
        assert scanner.scans == [MAX_ARCHIVES_PER_SCAN]
        again = await asyncio.gather(*map(builder.build, asked))
        assert [(day.summary, day.reused) for day in again] == [(day.summary, True) for day in built]
    assert scanner.scans == [MAX_ARCHIVES_PER_SCAN]


async def test_a_caller_that_is_cancelled_cancels_it_for_nobody_else(dataset: RawDataset) -> None:
    plan = await plan_for(dataset, CHANNELS[0])
    async with shared(dataset) as (scans, _):
        cancelled = asyncio.create_task(write(scans, plan))
        other = asyncio.create_task(write(scans, plan))
        await asyncio.sleep(0)
        cancelled.cancel()
        assert (await other)[0].events == 1


async def test_an_unreadable_object_fails_all_archives_of_its_scan_and_no_later_one(
    dataset: RawDataset,
) -> None:
    good = await plan_for(dataset, CHANNELS[0])
    await dataset.put("2026-11-01-1793491200001.json.gz", packed(event())[:-4])
    async with shared(dataset) as (scans, _):
        bad = [await plan_for(dataset, channel) for channel in CHANNELS[:3]]
        asked = [write(scans, plan) for plan in bad]
        outcomes = await asyncio.gather(*asked, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [SourceObjectError] * 3
        [summary, _] = await write(scans, good)
        assert summary.events == 1


async def test_closing_cancels_the_archives_that_wait(dataset: RawDataset) -> None:
    plan = await plan_for(dataset, CHANNELS[0])
    async with shared(dataset) as (scans, _):
        waiting = asyncio.create_task(write(scans, plan))
        await asyncio.sleep(0)
        await scans.close()
        with pytest.raises(asyncio.CancelledError):
            await waiting
