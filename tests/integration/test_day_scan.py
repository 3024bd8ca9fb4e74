"""A day whose objects do not fit into their queues: no object waits for ever for a scan worker."""

from __future__ import annotations

import asyncio
import gzip
import io
import os
import zipfile
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from exhaust.domain.catalogue import Layout
from exhaust.s3.store import ObjectStore
from services.aggregator.archive.day_summary import UnreadableLine
from services.aggregator.build.day_scan import DayScanner
from services.aggregator.build.held_member import MAX_HELD_BYTES
from services.aggregator.build.scan_workers import ScanWorker, ScanWorkerPool, open_scan_workers
from tests.support.raw_dataset import CHANNEL, RawDataset, event

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Collection

    from exhaust.s3.object_info import ObjectInfo
    from exhaust.settings import S3RawBucketSettings
    from services.aggregator.archive.day_summary import DaySummary
    from services.aggregator.build.scan_workers import Sink
    from services.aggregator.scan.source_scan import ScanJob, ScanResult

FIRST, SECOND, THIRD, FOURTH, FIFTH = (f"2026-11-01-179349120000{number}.json.gz" for number in range(5))
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


async def test_bytes_are_counted_while_a_long_object_is_read(objects: ObjectStore, dataset: RawDataset) -> None:
    plan, read = await dataset.plan(), list[int]()
    async with asyncio.timeout(DEADLINE_S), open_scan_workers(1) as pool:
        await DayScanner(objects, pool, dataset.settings, read.append).write([plan])
    stored = sum(source.size for source in plan.sources)
    assert sum(read) >= stored  # objects with unreadable lines are read twice
    assert max(read[: len(read) // 2]) < stored / 3
    assert len(read) > 2 * len(plan.sources)


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


class Swollen(ScanWorkerPool):
    """Scan workers of which some members have 4 GiB more than they have."""

    def __init__(self, pool: ScanWorkerPool, names: Collection[str]) -> None:
        vars(self).update(vars(pool))
        self._names = names
        self.scans: list[str] = []

    @asynccontextmanager
    async def worker(self, resources: Collection[str] = ()) -> AsyncIterator[ScanWorker]:
        async with super().worker(resources) as worker:
            yield SwollenWorker(worker, self._names, self.scans)


class SwollenWorker(ScanWorker):
    def __init__(self, worker: ScanWorker, names: Collection[str], scans: list[str]) -> None:
        self._worker = worker
        self._names = names
        self._scans = scans

    async def scan(self, job: ScanJob, chunks: AsyncGenerator[bytes, None], sink: Sink) -> list[ScanResult]:
        name = job.name.rpartition("/")[2]
        self._scans.append(name)
        results = await self._worker.scan(job, chunks, sink)
        if name not in self._names:
            return results
        [result] = results
        assert result.content is not None
        return [replace(result, content=replace(result.content, size=result.content.size + 2**32))]


async def test_sizes_stand_before_members_and_only_what_is_large_has_eight_bytes_for_them(
    objects: ObjectStore, s3_settings: S3RawBucketSettings
) -> None:
    dataset = RawDataset.new(objects, s3_settings, Layout.RESOURCE)
    noise = gzip.compress(b"".join(event(filler=os.urandom(2**18).hex()) for _ in range(34)), 1)
    assert len(noise) > MAX_HELD_BYTES + 2**16
    small = gzip.compress(event())
    for name, data in ((FIRST, small), (SECOND, noise), (THIRD, noise), (FOURTH, noise), (FIFTH, small)):
        await dataset.put(f"{CHANNEL}/{name}", data)
    plan = await dataset.plan()
    async with open_scan_workers(1) as pool:
        swollen = Swollen(pool, (SECOND, FOURTH, FIFTH))
        [summary] = await DayScanner(objects, swollen, dataset.settings).write([plan])
    assert swollen.scans == [FIRST, SECOND, THIRD, FOURTH, FIFTH] * 2
    data = await dataset.archive(summary)
    with zipfile.ZipFile(io.BytesIO(data)) as opened:
        members = opened.infolist()
    sizes_follow = [bool(member.flag_bits & 8) for member in members]
    extra_at = [member.header_offset + 28 for member in members]  # two bytes, the length of the extra field
    assert sizes_follow == [False, True, True, True, False]
    assert [int.from_bytes(data[at : at + 2], "little") for at in extra_at] == [0, 20, 0, 20, 20]
    assert [source.member for source in summary.sources] == [member.filename for member in members]
