"""Listings are complete, in key order."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from exhaust.s3.object_info import ObjectInfo
from tests.integration.objects.conftest import Shelf

if TYPE_CHECKING:
    from exhaust.s3.store import Objects
    from exhaust.settings import RawObjectSettings


@pytest.fixture(scope="module")
async def full_shelf(objects: Objects, object_settings: RawObjectSettings) -> Shelf:
    """2,100 objects: half of them side by side, half each in a folder of its own."""
    full = Shelf(objects, object_settings, object_settings.s3_raw_bucket, f"shelf-{uuid4().hex[:8]}/")
    names = [f"flat/{number * 7919 % 1050:05}" for number in range(1050)]
    names += [f"deep/folder-{number:05}/object" for number in range(1050)]
    for start in range(0, len(names), 300):
        await full.put(*names[start : start + 300], data=b"")
    return full


async def test_a_listing_goes_past_a_thousand_objects_in_key_order(full_shelf: Shelf) -> None:
    flat = [f"flat/{number:05}" for number in range(1050)]
    deep = [f"deep/folder-{number:05}/object" for number in range(1050)]
    assert await full_shelf.names() == deep + flat
    assert await full_shelf.names("flat/") == flat
    assert await full_shelf.names("flat/0102") == flat[1020:1030]


async def test_folders_go_past_a_thousand_in_key_order(full_shelf: Shelf) -> None:
    found = [folder async for folder in full_shelf.objects.folders(full_shelf.bucket, f"{full_shelf.prefix}deep/")]
    assert found == [f"folder-{number:05}" for number in range(1050)]


async def test_a_listing_tells_size_and_etag(shelf: Shelf) -> None:
    await shelf.put("a", data=b"hello")
    [found] = [found async for found in shelf.objects.list(shelf.bucket, shelf.prefix)]
    assert found == ObjectInfo(f"{shelf.prefix}a", hashlib.md5(b"hello", usedforsecurity=False).hexdigest(), 5)
    assert found == await shelf.head("a")


async def test_folders_are_the_names_right_below_a_prefix(shelf: Shelf) -> None:
    await shelf.put("one/a", "one/b", "two/deep/c", "plain", "with space/d", "Ünicode/e")
    found = [folder async for folder in shelf.objects.folders(shelf.bucket, shelf.prefix)]
    assert sorted(found) == sorted(["one", "two", "with space", "Ünicode"])
    assert [folder async for folder in shelf.objects.folders(shelf.bucket, f"{shelf.prefix}two/")] == ["deep"]
    assert [folder async for folder in shelf.objects.folders(shelf.bucket, f"{shelf.prefix}none/")] == []


async def test_an_empty_listing_is_empty(shelf: Shelf) -> None:
    assert await shelf.names() == []
