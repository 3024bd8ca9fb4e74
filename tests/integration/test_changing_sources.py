"""Source objects that change while they are read: the day is planned again from what lies there then."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from exhaust.domain.catalogue import Layout
from exhaust.kafka.records import Record
from exhaust.metrics.registry import MetricRegistry
from exhaust.process.retry import Patience, Retries
from exhaust.process.slots import Slots
from exhaust.s3.store import open_object_store
from schemas.events import TOPIC_DAYS
from services.aggregator.assemble import Assembler
from services.aggregator.cancelled_attempts import CancelledAttempts
from services.aggregator.completion_publisher import CompletionPublisher
from services.aggregator.day_worker import DayMetrics, DayWorker
from tests.support.raw_dataset import RawDataset, event, packed
from tests.support.s3_operations import delete_object
from tests.support.s3_proxy import proxy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from exhaust.kafka.producer import Producer
    from exhaust.s3.store import ObjectStore
    from exhaust.settings import S3RawBucketSettings
    from tests.support.s3_proxy import Proxy

MIB = 1024 * 1024
TIMEOUT_S = 45.0
NAMES = [f"2026-11-01-{1793491200000 + number}.json.gz" for number in range(6)]
NOISE = hashlib.shake_128(b"noise").hexdigest(2 * MIB)
LARGE = [event(number, filler=NOISE[number * 8192 : (number + 1) * 8192]) for number in range(512)]


@pytest.fixture
async def dataset(objects: ObjectStore, s3_settings: S3RawBucketSettings) -> RawDataset:
    """A large object and five small ones, most of which one scan worker opens only when the large one is read."""
    made = RawDataset.new(objects, s3_settings, Layout.SHARED)
    await made.put(NAMES[0], packed(*LARGE))
    for number, name in enumerate(NAMES[1:], start=1):
        await made.put(name, packed(event(number)))
    return made


@asynccontextmanager
async def working(dataset: RawDataset, producer: Producer) -> AsyncIterator[tuple[DayWorker, Proxy]]:
    """A worker whose readings are cut again and again, so that there is time between two ranges."""
    async with proxy(dataset.settings.s3_endpoint, cut_after=MIB // 2) as way:
        settings = dataset.settings.model_copy(update={"s3_endpoint": f"http://{way.address}"})
        async with open_object_store(settings) as objects, replace(dataset, objects=objects).builder() as builder:
            assembler = Assembler(dataset.objects, dataset.settings.s3_exhaust_bucket)
            cancelled = CancelledAttempts(dataset.objects, dataset.settings.s3_exhaust_bucket)
            metrics = DayMetrics(MetricRegistry())
            publisher = CompletionPublisher(producer)
            retries = Retries(Slots(1), Patience(timedelta(minutes=1), ()))
            yield DayWorker(builder, assembler, publisher, cancelled, metrics, retries=retries), way


async def first_cut(way: Proxy) -> None:
    async with asyncio.timeout(TIMEOUT_S):
        for pause in itertools.repeat(0.005):
            if way.cuts:
                return
            await asyncio.sleep(pause)


async def handled(worker: DayWorker, dataset: RawDataset) -> asyncio.Task[None]:
    record = Record(TOPIC_DAYS, 0, 0, b"key", dataset.message().to_json(), ())
    return asyncio.create_task(worker.handle(record))


async def test_an_object_that_is_replaced_between_two_ranges_is_read_again(
    dataset: RawDataset, producer: Producer
) -> None:
    async with working(dataset, producer) as (worker, way):
        handling = await handled(worker, dataset)
        await first_cut(way)
        await dataset.put(NAMES[0], packed(*reversed(LARGE)))
        await asyncio.wait_for(handling, TIMEOUT_S)
    found = await dataset.build()
    assert found.reused, "the archive that was written is not that of what lies there now"
    members = await dataset.members(found.summary)
    assert members[NAMES[0].removesuffix(".gz")] == b"".join(reversed(LARGE))
    assert len(await dataset.archives()) == 2  # nothing is left of the first plan


async def test_an_object_that_is_deleted_between_listing_and_reading_is_not_in_the_day(
    dataset: RawDataset, producer: Producer
) -> None:
    async with working(dataset, producer) as (worker, way):
        handling = await handled(worker, dataset)
        await first_cut(way)
        await delete_object(dataset.settings, dataset.settings.s3_raw_bucket, f"{dataset.dataset.prefix}{NAMES[-1]}")
        await asyncio.wait_for(handling, TIMEOUT_S)
    found = await dataset.build()
    assert found.reused, "the archive that was written is not that of what lies there now"
    assert list(await dataset.members(found.summary)) == [name.removesuffix(".gz") for name in NAMES[:-1]]
    assert len(await dataset.archives()) == 2
