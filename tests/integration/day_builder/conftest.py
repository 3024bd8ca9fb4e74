"""Datasets on a real S3, each of one test alone, whose days are built into archives."""

from __future__ import annotations

import hashlib
import struct
import sys
import zlib
from typing import TYPE_CHECKING

import pytest

from exhaust.domain.catalogue import Layout
from tests.support.raw_dataset import RawDataset, event, packed, summary_key

if sys.version_info >= (3, 14):
    pass
else:
    pass

if TYPE_CHECKING:
    from collections.abc import Callable

    from exhaust.s3.store import ObjectStore
    from exhaust.settings import S3RawBucketSettings
    from services.aggregator.archive.day_summary import DaySummary


NAME = "2026-11-01-1793491200000.json"
LATER = "2026-11-01-1793494800000.json"
MIB = 1024 * 1024


@pytest.fixture
def new_dataset(objects: ObjectStore, s3_settings: S3RawBucketSettings) -> Callable[..., RawDataset]:
    def new(layout: Layout = Layout.SHARED, **limits: object) -> RawDataset:
        return RawDataset.new(objects, s3_settings, layout, **limits)

    return new


@pytest.fixture
def shared(new_dataset: Callable[..., RawDataset]) -> RawDataset:
    return new_dataset()


@pytest.fixture
def by_resource(new_dataset: Callable[..., RawDataset]) -> RawDataset:
    return new_dataset(Layout.RESOURCE)


async def agrees_with_itself(dataset: RawDataset, summary: DaySummary) -> None:
    data = await dataset.archive(summary)
    await begins_with_its_header(dataset, summary)
    assert summary.size == len(data)
    assert summary.crc32 == zlib.crc32(data)
    assert summary.sha256 == hashlib.sha256(data).hexdigest()
    assert summary.key.startswith(f"days/{dataset.dataset.id}/")
    assert await dataset.archives() == [summary.key, summary_key(summary)]


async def begins_with_its_header(dataset: RawDataset, summary: DaySummary) -> None:
    """What lies in the bucket is a member of a download: APPNOTE.TXT 4.3.7, stored, without descriptor or extra."""
    found = await dataset.objects.get(dataset.settings.s3_exhaust_bucket, summary.key)
    name = f"{summary.day}.zip".encode()
    fields = struct.unpack("<4s2xHH4x3L2H", found[:30])
    assert fields == (b"PK\3\4", 0, 0, summary.crc32, summary.size, summary.size, len(name), 0)
    assert found[30 : -summary.size] == name


ODD_KEYS = ["a b", "a+b", "100%", "%2F%20", "Ünïcode-名", '"quoted"', "it's", "a&b=c?d#e", "<tag>", "~!@$^*()"]
SOUND = packed(*(event(number) for number in range(50)))
