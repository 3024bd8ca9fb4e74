"""Listings are complete, in key order."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from exhaust.s3.object_info import ObjectInfo
from tests.integration.objects.conftest import ScratchPrefix

if TYPE_CHECKING:
    from exhaust.s3.store import ObjectStore
    from exhaust.settings import S3RawBucketSettings


@pytest.fixture(scope="module")
async def full_prefix(objects: ObjectStore, s3_settings: S3RawBucketSettings) -> ScratchPrefix:
    """2,100 objects: one half side by side, each of the others in a folder of its own."""
    full = ScratchPrefix(objects, s3_settings, s3_settings.s3_raw_bucket, f"scratch-{uuid4().hex[:8]}/")
    names = [f"flat/{number * 7919 % 1050:05}" for number in range(1050)]
    names += [f"deep/folder-{number:05}/object" for number in range(1050)]
    for start in range(0, len(names), 300):
        await full.put(*names[start : start + 300], data=b"")
    return full


async def test_a_listing_returns_more_than_a_thousand_objects_in_key_order(full_prefix: ScratchPrefix) -> None:
    flat = [f"flat/{number:05}" for number in range(1050)]
    deep = [f"deep/folder-{number:05}/object" for number in range(1050)]
    assert await full_prefix.names() == deep + flat
    assert await full_prefix.names("flat/") == flat
    assert await full_prefix.names("flat/0102") == flat[1020:1030]


async def test_a_listing_begins_behind_a_key_that_need_not_be_there(scratch: ScratchPrefix) -> None:
    await scratch.put("a", "b-1", "b-2", "c")
    for after, names in (("b", ["b-1", "b-2", "c"]), ("b-1", ["b-2", "c"]), ("c", [])):
        listing = scratch.objects.list(scratch.bucket, scratch.prefix, after=scratch.prefix + after)
        found = [each.key async for each in listing]
        assert found == [scratch.prefix + name for name in names]


async def test_more_than_a_thousand_folders_are_listed_in_key_order(full_prefix: ScratchPrefix) -> None:
    found = [
        folder async for folder in full_prefix.objects.list_folders(full_prefix.bucket, f"{full_prefix.prefix}deep/")
    ]
    assert found == [f"folder-{number:05}" for number in range(1050)]


async def test_a_listing_returns_size_and_etag(scratch: ScratchPrefix) -> None:
    await scratch.put("a", data=b"hello")
    [found] = [found async for found in scratch.objects.list(scratch.bucket, scratch.prefix)]
    assert found == ObjectInfo(f"{scratch.prefix}a", hashlib.md5(b"hello", usedforsecurity=False).hexdigest(), 5)
    assert found == await scratch.head("a")


async def test_folders_are_the_names_directly_below_a_prefix(scratch: ScratchPrefix) -> None:
    await scratch.put("one/a", "one/b", "two/deep/c", "plain", "with space/d", "Ünicode/e")
    found = [folder async for folder in scratch.objects.list_folders(scratch.bucket, scratch.prefix)]
    assert sorted(found) == sorted(["one", "two", "with space", "Ünicode"])
    assert [folder async for folder in scratch.objects.list_folders(scratch.bucket, f"{scratch.prefix}two/")] == [
        "deep"
    ]
    assert [folder async for folder in scratch.objects.list_folders(scratch.bucket, f"{scratch.prefix}none/")] == []


async def test_a_prefix_without_objects_lists_nothing(scratch: ScratchPrefix) -> None:
    assert await scratch.names() == []
