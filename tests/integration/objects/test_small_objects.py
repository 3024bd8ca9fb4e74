"""Small objects and buckets: written, kept, missing, expired."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from exhaust.errors import ErrorCode, ExhaustError
from exhaust.s3.errors import ObjectExistsError, ObjectMissingError
from tests.support.signed_s3 import lifetimes

if TYPE_CHECKING:
    from tests.integration.objects.conftest import Shelf


async def test_a_small_object_comes_back(shelf: Shelf) -> None:
    await shelf.put("small", data=b"\x00\xff")
    await shelf.put("empty", data=b"")
    assert await shelf.objects.get(shelf.bucket, f"{shelf.prefix}small") == b"\x00\xff"
    assert await shelf.objects.get(shelf.bucket, f"{shelf.prefix}empty") == b""


async def test_a_kept_object_is_not_written_over(shelf: Shelf) -> None:
    key = f"{shelf.prefix}kept"
    await shelf.objects.put(shelf.bucket, key, b"first", keep=True)
    with pytest.raises(ObjectExistsError):
        await shelf.objects.put(shelf.bucket, key, b"second", keep=True)
    assert await shelf.objects.get(shelf.bucket, key) == b"first"
    await shelf.objects.put(shelf.bucket, key, b"third")
    assert await shelf.objects.get(shelf.bucket, key) == b"third"


async def test_of_many_that_keep_the_same_object_one_wins(shelf: Shelf) -> None:
    key = f"{shelf.prefix}race"
    written = [str(number).encode() for number in range(8)]
    outcomes = await asyncio.gather(
        *(shelf.objects.put(shelf.bucket, key, data, keep=True) for data in written), return_exceptions=True
    )
    winners = [data for data, outcome in zip(written, outcomes, strict=True) if outcome is None]
    assert [type(outcome) for outcome in outcomes if outcome is not None] == [ObjectExistsError] * 7
    assert [await shelf.objects.get(shelf.bucket, key)] == winners


async def test_what_is_not_there_is_missing(shelf: Shelf) -> None:
    key = f"{shelf.prefix}none"
    for attempt in (shelf.objects.get(shelf.bucket, key), shelf.objects.head(shelf.bucket, key)):
        with pytest.raises(ObjectMissingError):
            await attempt


async def test_a_bucket_is_created_once(shelf: Shelf) -> None:
    bucket = f"bucket-{uuid4().hex[:8]}"
    with pytest.raises(ExhaustError, match=bucket) as raised:
        await shelf.objects.ping(bucket)
    assert raised.value.code is ErrorCode.SERVICE_UNAVAILABLE
    assert await shelf.objects.create_bucket(bucket)
    assert not await shelf.objects.create_bucket(bucket)
    await shelf.objects.ping(bucket)


async def test_objects_expire_as_they_are_told(shelf: Shelf) -> None:
    bucket = f"bucket-{uuid4().hex[:8]}"
    await shelf.objects.create_bucket(bucket)
    for days in (3, 7):
        told = {"first/": timedelta(days=days), "second/": timedelta(days=days + 2)}
        await shelf.objects.expire(bucket, told)
        assert await lifetimes(shelf.settings, bucket) == {"first/": days, "second/": days + 2}
    await shelf.objects.put(bucket, "first/x", b"data")
    assert await shelf.objects.get(bucket, "first/x") == b"data"
