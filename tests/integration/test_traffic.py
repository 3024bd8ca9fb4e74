"""The bytes that pass through a worker: few for days that the store joins, nearly none for a day that exists."""

from __future__ import annotations

import hashlib
import io
import zipfile
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

from exhaust.domain.catalogue import Layout
from exhaust.s3.store import open_object_store
from services.aggregator.archive.outer_archive import Literal, StoredDay, outer_segments
from services.aggregator.assemble import Assembler
from tests.support.raw_dataset import CHANNEL, DAY, RawDataset, event, packed, summary_key
from tests.support.s3_proxy import proxy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from exhaust.s3.store import ObjectStore
    from exhaust.settings import S3RawBucketSettings
    from tests.support.s3_proxy import Proxy

MIB = 1024 * 1024
DAYS = 3
OVERHEAD = MIB // 4  # headers, markers, the manifest


@asynccontextmanager
async def counted(dataset: RawDataset) -> AsyncIterator[tuple[RawDataset, Proxy]]:
    """The dataset, reached through a proxy that counts."""
    async with proxy(dataset.settings.s3_endpoint) as way:
        settings = dataset.settings.model_copy(update={"s3_endpoint": f"http://{way.address}"})
        async with open_object_store(settings) as objects:
            yield replace(dataset, objects=objects, settings=settings), way


async def test_the_store_joins_days_of_ten_megabytes_and_more(
    objects: ObjectStore, s3_settings: S3RawBucketSettings
) -> None:
    dataset = RawDataset.new(objects, s3_settings, Layout.RESOURCE)
    noise = hashlib.shake_128(b"noise").hexdigest(7 * MIB)
    request = uuid4()
    days = [dataset.message(day=DAY + timedelta(days=n), days=DAYS, request=request) for n in range(DAYS)]
    bucket = dataset.settings.s3_exhaust_bucket
    for number, message in enumerate(days):
        line = b'{"eid":"A","mid":"%d","noise":"%s"}\n'
        lines = [line % (number, noise[at : at + 8192].encode()) for at in range(0, len(noise), 8192)]
        await dataset.put(f"{CHANNEL}/{message.day}-1793491200000.json", b"".join(lines))
        await dataset.put(f"{CHANNEL}/{message.day}-1793491200001.json", b"".join(reversed(lines)))
    async with counted(dataset) as (behind, way):
        summaries = []
        async with dataset.builder() as builder:
            for message in days:
                summaries.append((await builder.build(message)).summary)
                await Assembler(objects, bucket).mark(message, summaries[-1])
        assert min(summary.size for summary in summaries) >= 10 * MIB
        assert way.taken == 0
        archive = await Assembler(behind.objects, bucket).assemble_if_last(days[-1])
        assert archive is not None
        print(f"\n{archive.size} bytes joined, {way.passed} read and {way.taken} sent for it")
        assert max(way.passed, way.taken) <= OVERHEAD < archive.size / 2
    assert archive.sha256 is None
    download = await objects.get(bucket, archive.key)
    inner = {summary.key: await objects.get(bucket, summary.key) for summary in summaries}
    with zipfile.ZipFile(io.BytesIO(download)) as outer:
        assert [outer.read(f"{summary.day}.zip") for summary in summaries] == [
            inner[summary.key][-summary.size :] for summary in summaries
        ]
        manifest = outer.read("manifest.json")
        assert outer.testzip() is None
    stored = [StoredDay(summary.day, summary.key, summary.size, summary.crc32) for summary in summaries]
    plain = b"".join(
        part.data if isinstance(part, Literal) else inner[part.key] for part in outer_segments(stored, manifest)
    )
    assert download == plain


async def test_a_day_that_exists_costs_a_listing_and_one_small_object(
    objects: ObjectStore, s3_settings: S3RawBucketSettings
) -> None:
    dataset = RawDataset.new(objects, s3_settings, Layout.SHARED)
    await dataset.put("2026-11-01-1793491200000.json.gz", packed(event()))
    summary = (await dataset.build()).summary
    async with counted(dataset) as (behind, way):
        again = await behind.build()
    assert again.reused
    assert again.summary == summary
    listing, found = way.asked
    assert listing.startswith(f"GET /{dataset.settings.s3_raw_bucket}?list-type=2&")
    assert found == f"GET /{dataset.settings.s3_exhaust_bucket}/{summary_key(summary)}"
