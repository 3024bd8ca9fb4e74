"""Built once: who wants the same day at the same time shares one reading of its objects."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from exhaust.domain.catalogue import Catalogue, Layout
from exhaust.errors import SourceObjectError
from services.aggregator.build.day_builder import DayBuilder
from services.aggregator.build.day_scan import DayScanner
from services.aggregator.build.lanes import Lanes, open_lanes
from services.aggregator.build.shared_scans import MOST_TOGETHER, SharedScans
from telemetry.resource_ids import resource_id
from tests.support.raw_dataset import DAY, RawDataset, event, packed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from exhaust.s3.store import Objects
    from exhaust.settings import RawObjectSettings
    from services.aggregator.archive.day_summary import DaySummary
    from services.aggregator.build.day_plan import DayPlan
    from services.aggregator.settings import AggregatorSettings

CHANNELS = [f"in.channel.{number}" for number in range(MOST_TOGETHER + 2)]
NAME = "2026-11-01-1793491200000.json.gz"


class CountingScanner(DayScanner):
    """The real one, and how many archives each of its scans wrote."""

    def __init__(self, objects: Objects, lanes: Lanes, settings: AggregatorSettings) -> None:
        super().__init__(objects, lanes, settings)
        self.scans: list[int] = []
        self.began = asyncio.Event()

    async def write(self, plans: Sequence[DayPlan]) -> list[DaySummary]:
        self.scans.append(len(plans))
        self.began.set()
        return await super().write(plans)


@pytest.fixture
async def dataset(objects: Objects, object_settings: RawObjectSettings) -> RawDataset:
    made = RawDataset.new(objects, object_settings, Layout.SHARED)
    await made.put(NAME, packed(*(event(number, channel=channel) for number, channel in enumerate(CHANNELS))))
    return made


@asynccontextmanager
async def shared(dataset: RawDataset) -> AsyncIterator[tuple[SharedScans, CountingScanner]]:
    async with open_lanes(1) as lanes:
        scanner = CountingScanner(dataset.objects, lanes, dataset.settings)
        scans = SharedScans(scanner, at_once=1)
        try:
            yield scans, scanner
        finally:
            await scans.close()


async def plan_for(dataset: RawDataset, channel: str) -> DayPlan:
    return await dataset.plan(resource=resource_id(channel), owner=channel)


async def write(scans: SharedScans, plan: DayPlan) -> tuple[DaySummary, bool]:
    promise = scans.promise(plan)
    return await promise.kept(), promise.joined


async def test_all_who_wait_share_scans_and_get_what_they_would_get_alone(dataset: RawDataset) -> None:
    plans = [await plan_for(dataset, channel) for channel in CHANNELS]
    async with shared(dataset) as (scans, scanner):
        written = await asyncio.gather(*(write(scans, plan) for plan in plans))
        assert scanner.scans == [MOST_TOGETHER, 2]
        for number, (channel, summary) in enumerate(zip(CHANNELS, [summary for summary, _ in written], strict=True)):
            assert list((await dataset.members(summary)).values()) == [event(number, channel=channel)]
            assert (summary, False) == await write(scans, plans[number])
    assert scanner.scans == [MOST_TOGETHER, 2, *[1] * len(CHANNELS)]


async def test_one_archive_that_is_wanted_by_many_is_written_once(dataset: RawDataset) -> None:
    plan = await plan_for(dataset, CHANNELS[0])
    async with shared(dataset) as (scans, scanner):
        asked = [write(scans, plan) for _ in range(5)]
        written = await asyncio.gather(*asked)
        assert scanner.scans == [1]
        assert [summary for summary, _ in written] == [written[0][0]] * 5
        assert [joined for _, joined in written] == [False, True, True, True, True]


async def test_who_comes_while_a_scan_runs_waits_for_the_next(dataset: RawDataset) -> None:
    plans = [await plan_for(dataset, channel) for channel in CHANNELS[:4]]
    async with shared(dataset) as (scans, scanner):
        first = asyncio.create_task(write(scans, plans[0]))
        await asyncio.wait_for(scanner.began.wait(), 30)
        later = [write(scans, plan) for plan in plans[1:]]
        await asyncio.gather(first, *later)
        assert scanner.scans == [1, 3]


async def test_a_scan_waits_for_those_who_are_still_deciding(dataset: RawDataset) -> None:
    async with shared(dataset) as (scans, scanner):
        with scans.deciding(dataset.dataset.id, DAY), scans.deciding(dataset.dataset.id, DAY):
            first = scans.promise(await plan_for(dataset, CHANNELS[0]))
            # Listing takes time enough for a scan to begin.
            second = scans.promise(await plan_for(dataset, CHANNELS[1]))
        assert (await first.kept()).events == (await second.kept()).events == 1
        assert scanner.scans == [2]


async def test_a_scan_waits_for_nobody_for_long(dataset: RawDataset) -> None:
    plan = await plan_for(dataset, CHANNELS[0])
    async with shared(dataset) as (scans, _):
        with scans.deciding(dataset.dataset.id, DAY):
            summary, _ = await asyncio.wait_for(write(scans, plan), 30)
    assert summary.events == 1


async def test_many_who_want_a_day_at_once_share_one_scan(dataset: RawDataset) -> None:
    async with shared(dataset) as (scans, scanner):
        builder = DayBuilder(dataset.objects, Catalogue({dataset.dataset.id: dataset.dataset}), scans, dataset.settings)
        asked = [dataset.wanted(resource=resource_id(channel), owner=channel) for channel in CHANNELS[:MOST_TOGETHER]]
        built = await asyncio.gather(*map(builder.build, asked))
        assert [(day.summary.events, day.reused) for day in built] == [(1, False)] * MOST_TOGETHER
        assert scanner.scans == [MOST_TOGETHER]
        again = await asyncio.gather(*map(builder.build, asked))
        assert [(day.summary, day.reused) for day in again] == [(day.summary, True) for day in built]
    assert scanner.scans == [MOST_TOGETHER]


async def test_who_gives_up_takes_it_from_nobody(dataset: RawDataset) -> None:
    plan = await plan_for(dataset, CHANNELS[0])
    async with shared(dataset) as (scans, _):
        impatient = asyncio.create_task(write(scans, plan))
        patient = asyncio.create_task(write(scans, plan))
        await asyncio.sleep(0)
        impatient.cancel()
        assert (await patient)[0].events == 1


async def test_an_object_that_cannot_be_read_fails_all_who_share_it_and_no_later_one(dataset: RawDataset) -> None:
    good = await plan_for(dataset, CHANNELS[0])
    await dataset.put("2026-11-01-1793491200001.json.gz", packed(event())[:-4])
    async with shared(dataset) as (scans, _):
        bad = [await plan_for(dataset, channel) for channel in CHANNELS[:3]]
        asked = [write(scans, plan) for plan in bad]
        outcomes = await asyncio.gather(*asked, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [SourceObjectError] * 3
        [summary, _] = await write(scans, good)
        assert summary.events == 1


async def test_the_end_of_the_worker_ends_the_waiting(dataset: RawDataset) -> None:
    plan = await plan_for(dataset, CHANNELS[0])
    async with shared(dataset) as (scans, _):
        waiting = asyncio.create_task(write(scans, plan))
        await asyncio.sleep(0)
        await scans.close()
        with pytest.raises(asyncio.CancelledError):
            await waiting
