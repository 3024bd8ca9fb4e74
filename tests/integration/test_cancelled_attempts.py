"""Work on an attempt that is cancelled stops, and leaves nothing behind; work of others on the same day goes on."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from exhaust.domain.catalogue import Layout
from exhaust.domain.object_keys import cancelled_key
from exhaust.kafka.producer import Producer
from exhaust.kafka.records import Record
from exhaust.metrics.registry import MetricRegistry
from exhaust.process.health import Health
from exhaust.process.retry import Patience, Retries
from exhaust.process.slots import Slots
from exhaust.s3.store import open_object_store
from exhaust.settings import KafkaSettings
from schemas.events import TOPIC_DAYS, DayRequested
from services.aggregator.assemble import Assembler
from services.aggregator.cancelled_attempts import CancelledAttempts
from services.aggregator.completion_publisher import CompletionPublisher
from services.aggregator.day_worker import DayMetrics, DayWorker
from telemetry.resource_ids import resource_id
from tests.support.raw_dataset import CHANNEL, RawDataset, event, packed
from tests.support.s3_operations import list_multipart_uploads
from tests.support.s3_proxy import Proxy, proxy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from uuid import UUID

    from exhaust.s3.store import ObjectStore
    from exhaust.settings import S3RawBucketSettings

MIB = 1024 * 1024
NAME = "2026-11-01-1793491200000.json.gz"
STOPPED_WITHIN = timedelta(seconds=5)
TIMEOUT_S = 30
OTHER = "in.channel.other"


class Outbox(Producer):
    """A producer that keeps what it is given."""

    def __init__(self) -> None:
        super().__init__(KafkaSettings(kafka_bootstrap="nowhere:1"))
        self.sent: list[dict[str, Any]] = []

    async def send_raw(
        self, topic: str, key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes]]
    ) -> None:
        await asyncio.sleep(0)
        assert (topic, bool(key), bool(headers)) == ("dataset.completions", True, True)
        self.sent.append(json.loads(value or b""))


@dataclass(frozen=True, slots=True)
class Aggregator:
    """A day worker whose raw objects come through a proxy, which may hold them back."""

    worker: DayWorker
    dataset: RawDataset
    way: Proxy
    outbox: Outbox
    registry: MetricRegistry

    def start(self, message: DayRequested) -> asyncio.Task[None]:
        return asyncio.create_task(self.worker.handle(Record(TOPIC_DAYS, 0, 0, b"key", message.to_json(), ())))

    async def cancel(self, request_id: UUID, attempt: int = 1) -> None:
        """What the status service does."""
        await self.dataset.objects.put(self.dataset.settings.s3_exhaust_bucket, cancelled_key(request_id, attempt), b"")

    def days(self, outcome: str) -> float | None:
        return self.registry.get_sample_value("exhaust_days_total", {"outcome": outcome})

    async def in_the_middle(self) -> None:
        """Wait until a scan has read a part of its object. The rest is held back until `way.answering` is set."""
        await asyncio.wait_for(self.way.held.wait(), TIMEOUT_S)


@pytest.fixture
async def dataset(objects: ObjectStore, s3_settings: S3RawBucketSettings) -> RawDataset:
    """A day of 16 MB that do not compress, half of them for somebody else."""
    made = RawDataset.new(objects, s3_settings, Layout.SHARED)
    noise = hashlib.shake_128(b"noise").hexdigest(8 * MIB)
    lines = [
        event(number, filler=noise[start : start + 8192], channel=(OTHER if number % 2 else CHANNEL))
        for number, start in enumerate(range(0, len(noise), 8192))
    ]
    await made.put(NAME, packed(*lines))
    return made


@pytest.fixture
async def aggregator(dataset: RawDataset) -> AsyncIterator[Aggregator]:
    async with running(dataset) as made:
        yield made


@asynccontextmanager
async def running(dataset: RawDataset) -> AsyncIterator[Aggregator]:
    async with proxy(dataset.settings.s3_endpoint) as way:
        settings = dataset.settings.model_copy(update={"s3_endpoint": f"http://{way.address}"})
        async with open_object_store(settings) as slow, replace(dataset, objects=slow).builder() as builder:
            outbox, registry, health = Outbox(), MetricRegistry(), Health()
            bucket = dataset.settings.s3_exhaust_bucket
            cancelled = CancelledAttempts(dataset.objects, bucket)
            worker = DayWorker(
                builder,
                Assembler(dataset.objects, bucket),
                CompletionPublisher(outbox),
                cancelled,
                DayMetrics(registry),
                retries=Retries(Slots(1), Patience(timedelta(minutes=1), ())),
            )
            watching = asyncio.create_task(cancelled.run(health))
            way.hold_at = 2 * MIB
            yield Aggregator(worker, dataset, way, outbox, registry)
            health.stop.set()
            await watching


async def test_a_running_scan_is_stopped_within_seconds_and_its_upload_aborted(aggregator: Aggregator) -> None:
    message = aggregator.dataset.message()
    working = aggregator.start(message)
    await aggregator.in_the_middle()
    await aggregator.cancel(message.requestid)
    since = time.monotonic()
    await asyncio.wait_for(asyncio.wait({working}, timeout=STOPPED_WITHIN.total_seconds()), TIMEOUT_S)
    assert working.done()
    assert time.monotonic() - since < STOPPED_WITHIN.total_seconds()
    assert working.result() is None
    assert aggregator.outbox.sent == []
    assert [aggregator.days(outcome) for outcome in ("cancelled", "failed", "built")] == [1, 0, 0]
    aggregator.way.answering.set()
    settings, prefix = aggregator.dataset.settings, f"days/{aggregator.dataset.dataset.id}/"
    async with asyncio.timeout(TIMEOUT_S):
        for pause in itertools.repeat(0.05):
            if not await list_multipart_uploads(settings, settings.s3_exhaust_bucket, prefix):
                break
            await asyncio.sleep(pause)
    assert await aggregator.dataset.archives() == []


async def test_a_shared_scan_goes_on_for_the_others(aggregator: Aggregator) -> None:
    dataset = aggregator.dataset
    mine, same, other = (
        dataset.message(),
        dataset.message(),
        dataset.message(resource=resource_id(OTHER), owner=OTHER),
    )
    cancelled, *kept = [aggregator.start(message) for message in (mine, same, other)]
    await aggregator.in_the_middle()
    await aggregator.cancel(mine.requestid)
    await asyncio.wait_for(cancelled, TIMEOUT_S)
    aggregator.way.answering.set()
    assert {sent["requestid"] for sent in aggregator.outbox.sent} <= {str(same.requestid), str(other.requestid)}
    await asyncio.wait_for(asyncio.gather(*kept), TIMEOUT_S)
    assert aggregator.days("cancelled") == 1
    assert {sent["requestid"] for sent in aggregator.outbox.sent if sent["status"] == "complete"} == {
        str(same.requestid),
        str(other.requestid),
    }


async def test_a_day_of_an_attempt_that_was_cancelled_before_is_dropped_though_its_archive_exists(
    aggregator: Aggregator,
) -> None:
    dataset = aggregator.dataset
    await dataset.build()
    message = dataset.message()
    await aggregator.cancel(message.requestid)
    await asyncio.wait_for(aggregator.start(message), TIMEOUT_S)
    assert (aggregator.outbox.sent, aggregator.days("cancelled"), aggregator.days("reused")) == ([], 1, 0)
    # The next attempt is another one.
    await asyncio.wait_for(aggregator.start(message.model_copy(update={"attempt": 2})), TIMEOUT_S)
    assert [sent["status"] for sent in aggregator.outbox.sent] == ["inprogress", "complete"]


async def test_a_day_that_is_wanted_again_while_its_scan_is_stopped_is_built(aggregator: Aggregator) -> None:
    message = aggregator.dataset.message()
    first = aggregator.start(message)
    await aggregator.in_the_middle()
    first.cancel()
    await asyncio.wait({first})
    aggregator.way.answering.set()
    again = aggregator.dataset.message()
    await asyncio.wait_for(aggregator.start(again), TIMEOUT_S)
    assert [sent["status"] for sent in aggregator.outbox.sent] == ["inprogress", "complete"]
    assert aggregator.days("built") == 1
