"""A day whose objects do not fit into their queues: no object waits for ever for a scan worker."""

from __future__ import annotations

import asyncio
import gzip
from typing import TYPE_CHECKING

import pytest

from exhaust.domain.catalogue import Layout
from exhaust.s3.store import ObjectStore
from services.aggregator.archive.day_summary import UnreadableLine
from services.aggregator.build.day_scan import DayScanner
from services.aggregator.build.scan_workers import open_scan_workers
from tests.support.raw_dataset import CHANNEL, RawDataset, event

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from exhaust.s3.object_info import ObjectInfo
    from exhaust.settings import S3RawBucketSettings
    from services.aggregator.archive.day_summary import DaySummary

FIRST, SECOND, THIRD = (f"2026-11-01-179349120000{number}.json.gz" for number in range(3))
DEADLINE_S = 60
LINES = 60_000


def large(*, unreadable: bool) -> bytes:
    """Return an object whose output is more than its queue takes."""
    return gzip.compress(event(0) * LINES + (b"nothing\n" if unreadable else b"") + event(1), 0)


class LateFirst(ObjectStore):
    """The real store, which answers for the first object only after it was asked for the second."""

    def __init__(self, store: ObjectStore) -> None:
        vars(self).update(vars(store))
        self._second_came = asyncio.Event()

    async def stream(
        self, bucket: str, source: ObjectInfo, *, start: int = 0, end: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        if source.key.endswith(FIRST):
            await self._second_came.wait()
        async for chunk in super().stream(bucket, source, start=start, end=end):
            if source.key.endswith(SECOND):
                self._second_came.set()
            yield chunk


async def scanned(objects: ObjectStore, dataset: RawDataset, workers: int) -> DaySummary:
    plan = await dataset.plan()
    async with asyncio.timeout(DEADLINE_S), open_scan_workers(workers) as pool:
        [summary] = await DayScanner(objects, pool, dataset.settings).write([plan])
    return summary


@pytest.fixture
async def dataset(objects: ObjectStore, s3_settings: S3RawBucketSettings) -> RawDataset:
    made = RawDataset.new(objects, s3_settings, Layout.RESOURCE)
    for name, unreadable in ((FIRST, True), (SECOND, False), (THIRD, True)):
        await made.put(f"{CHANNEL}/{name}", large(unreadable=unreadable))
    return made


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_late_object_gets_a_worker_before_the_objects_that_wait_for_it(
    dataset: RawDataset, objects: ObjectStore, workers: int
) -> None:
    summary = await scanned(LateFirst(objects), dataset, workers)
    assert [source.events for source in summary.sources] == [LINES + 1] * 3


async def test_unreadable_lines_are_numbered_when_all_objects_are_written(
    dataset: RawDataset, objects: ObjectStore
) -> None:
    summary = await scanned(objects, dataset, 1)
    prefix = f"{dataset.dataset.prefix}{CHANNEL}/"
    assert summary.unreadable_lines == (
        UnreadableLine(prefix + FIRST, LINES + 1),
        UnreadableLine(prefix + THIRD, LINES + 1),
    )
