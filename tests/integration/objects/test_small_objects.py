"""Small objects and buckets: writing, conditional writing, missing objects, expiration."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from exhaust.errors import ErrorCode, ExhaustError
from exhaust.s3.errors import ObjectExistsError, ObjectMissingError
from tests.support.s3_operations import expiration_days

if TYPE_CHECKING:
    from tests.integration.objects.conftest import ScratchPrefix


async def test_a_small_object_is_read_as_it_was_written(scratch: ScratchPrefix) -> None:
    await scratch.put("small", data=b"\x00\xff")
    await scratch.put("empty", data=b"")
    assert await scratch.objects.get(scratch.bucket, f"{scratch.prefix}small") == b"\x00\xff"
    assert await scratch.objects.get(scratch.bucket, f"{scratch.prefix}empty") == b""


async def test_a_write_if_absent_does_not_overwrite(scratch: ScratchPrefix) -> None:
    key = f"{scratch.prefix}kept"
    await scratch.objects.put(scratch.bucket, key, b"first", if_absent=True)
    with pytest.raises(ObjectExistsError):
        await scratch.objects.put(scratch.bucket, key, b"second", if_absent=True)
    assert await scratch.objects.get(scratch.bucket, key) == b"first"
    await scratch.objects.put(scratch.bucket, key, b"third")
    assert await scratch.objects.get(scratch.bucket, key) == b"third"


async def test_one_of_many_concurrent_writes_if_absent_succeeds(scratch: ScratchPrefix) -> None:
    key = f"{scratch.prefix}race"
    written = [str(number).encode() for number in range(8)]
    outcomes = await asyncio.gather(
        *(scratch.objects.put(scratch.bucket, key, data, if_absent=True) for data in written), return_exceptions=True
    )
    winners = [data for data, outcome in zip(written, outcomes, strict=True) if outcome is None]
    assert [type(outcome) for outcome in outcomes if outcome is not None] == [ObjectExistsError] * 7
    assert [await scratch.objects.get(scratch.bucket, key)] == winners


async def test_a_missing_object_is_reported_as_missing(scratch: ScratchPrefix) -> None:
    key = f"{scratch.prefix}none"
    for attempt in (scratch.objects.get(scratch.bucket, key), scratch.objects.head(scratch.bucket, key)):
        with pytest.raises(ObjectMissingError):
            await attempt


async def test_a_bucket_is_created_once(scratch: ScratchPrefix) -> None:
    bucket = f"bucket-{uuid4().hex[:8]}"
    with pytest.raises(ExhaustError, match=bucket) as raised:
        await scratch.objects.ping(bucket)
    assert raised.value.code is ErrorCode.SERVICE_UNAVAILABLE
    assert await scratch.objects.create_bucket(bucket)
    assert not await scratch.objects.create_bucket(bucket)
    await scratch.objects.ping(bucket)


async def test_new_expiration_rules_replace_the_earlier_ones(scratch: ScratchPrefix) -> None:
    bucket = f"bucket-{uuid4().hex[:8]}"
    await scratch.objects.create_bucket(bucket)
    for days in (3, 7):
        told = {"first/": timedelta(days=days), "second/": timedelta(days=days + 2)}
        await scratch.objects.set_expiration(bucket, told)
        assert await expiration_days(scratch.settings, bucket) == {"first/": days, "second/": days + 2}
    await scratch.objects.put(bucket, "first/x", b"data")
    assert await scratch.objects.get(bucket, "first/x") == b"data"
