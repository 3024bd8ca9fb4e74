"""The S3 kit on a real server: complete listings, streams that survive cuts, uploads that leave nothing half done."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import traceback
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import aiohttp
import pytest
from pydantic import SecretStr

from exhaust.errors import ErrorCode, ExhaustError, SourceObjectError
from exhaust.s3.multipart import MIN_PART as PART_SIZE
from exhaust.s3.object_info import ObjectInfo
from exhaust.s3.store import ObjectExistsError, ObjectMissingError, Objects, open_objects
from services.aggregator.reaping import reap_uploads
from tests.support.s3_proxy import closed_port, proxy
from tests.support.signed_s3 import delete_object, lifetimes, open_uploads

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable

    from exhaust.settings import ObjectSettings
    from tests.support.s3_proxy import Proxy

PATIENCE_S = 45.0
MIB = 1024 * 1024
ZIP = "application/zip"


@dataclass(frozen=True, slots=True)
class Shelf:
    """Keys below a prefix that only one test knows."""

    objects: Objects
    settings: ObjectSettings
    bucket: str
    prefix: str

    async def put(self, *names: str, data: bytes = b"data") -> None:
        await asyncio.gather(*(self.objects.put(self.bucket, self.prefix + name, data) for name in names))

    async def names(self, below: str = "") -> list[str]:
        found = [found.key async for found in self.objects.list(self.bucket, self.prefix + below)]
        return [key.removeprefix(self.prefix) for key in found]

    async def upload(self, name: str, chunks: AsyncGenerator[bytes, None], front: bytes = b"") -> None:
        await self.objects.upload(self.bucket, self.prefix + name, chunks, content_type=ZIP, front=lambda: front)

    async def head(self, name: str) -> ObjectInfo:
        return await self.objects.head(self.bucket, self.prefix + name)

    async def open_uploads(self) -> list[str]:
        return await open_uploads(self.settings, self.bucket, self.prefix)

    @asynccontextmanager
    async def behind(self, way: Proxy) -> AsyncIterator[Shelf]:
        """The same shelf, reached through a proxy."""
        settings = self.settings.model_copy(update={"s3_endpoint": f"http://{way.address}"})
        async with open_objects(settings) as objects:
            yield Shelf(objects, self.settings, self.bucket, self.prefix)


@pytest.fixture
def shelf(objects: Objects, object_settings: ObjectSettings) -> Shelf:
    return Shelf(objects, object_settings, object_settings.s3_raw_bucket, f"shelf-{uuid4().hex[:8]}/")


def noise(size: int) -> bytes:
    return hashlib.shake_128(str(size).encode()).digest(size)


async def cut(data: bytes, size: int) -> AsyncGenerator[bytes, None]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        for pause in itertools.repeat(0.05):
            if await condition():
                return
            await asyncio.sleep(pause)


async def streamed(objects: Objects, bucket: str, source: ObjectInfo) -> bytes:
    return b"".join([chunk async for chunk in objects.stream(bucket, source)])


# Listing.


@pytest.fixture(scope="module")
async def full_shelf(objects: Objects, object_settings: ObjectSettings) -> Shelf:
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


# Small objects.


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


# Uploads.


@pytest.mark.parametrize(
    ("size", "parts"),
    [
        (0, 0),
        (1, 0),
        (PART_SIZE - 1, 0),
        (PART_SIZE, 0),
        (PART_SIZE + 1, 2),
        (2 * PART_SIZE, 2),
        (2 * PART_SIZE + 1, 3),
    ],
)
@pytest.mark.parametrize("front", [b"", b"what is known last"])
async def test_an_upload_of_any_size_holds_the_same_bytes(shelf: Shelf, size: int, parts: int, front: bytes) -> None:
    data = noise(size)
    await shelf.upload("a.zip", cut(data, 777_777), front)
    found = await shelf.head("a.zip")
    assert found.size == len(front) + size
    # The ETag of a multipart upload ends in the number of its parts.
    assert found.etag.partition("-")[2] == (str(parts) if parts else "")
    assert await streamed(shelf.objects, shelf.bucket, found) == front + data
    assert await shelf.open_uploads() == []


async def test_a_chunk_may_hold_several_parts(shelf: Shelf) -> None:
    data = noise(3 * PART_SIZE + 5)
    await shelf.upload("a.zip", cut(data, len(data)))
    assert await streamed(shelf.objects, shelf.bucket, await shelf.head("a.zip")) == data


@pytest.mark.parametrize("size", [MIB, PART_SIZE + MIB, 2 * PART_SIZE + MIB])
async def test_a_source_that_fails_leaves_nothing(shelf: Shelf, size: int) -> None:
    closed = asyncio.Event()

    async def failing() -> AsyncGenerator[bytes, None]:
        try:
            async for chunk in cut(bytes(size), MIB):
                yield chunk
            raise SourceObjectError(ErrorCode.SOURCE_OBJECT_UNREADABLE, "raw/a", "is broken")
        finally:
            closed.set()

    with pytest.raises(SourceObjectError, match="raw/a"):
        await shelf.upload("a.zip", failing())
    assert closed.is_set()
    assert await shelf.names() == []
    assert await shelf.open_uploads() == []


async def test_an_upload_that_is_cancelled_leaves_nothing(shelf: Shelf) -> None:
    waiting, closed = asyncio.Event(), asyncio.Event()

    async def endless() -> AsyncGenerator[bytes, None]:
        try:
            yield bytes(2 * PART_SIZE + 1)
            waiting.set()
            await asyncio.Event().wait()
        finally:
            closed.set()

    uploading = asyncio.create_task(shelf.upload("a.zip", endless()))
    await asyncio.wait_for(waiting.wait(), PATIENCE_S)
    assert await shelf.open_uploads() == [f"{shelf.prefix}a.zip"]
    uploading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await uploading
    assert closed.is_set()
    assert await shelf.names() == []
    assert await shelf.open_uploads() == []


async def test_an_upload_that_is_cancelled_while_it_begins_leaves_nothing(shelf: Shelf) -> None:
    async def begun() -> bool:
        return bool(await shelf.open_uploads())

    async with proxy(shelf.settings.s3_endpoint) as way, shelf.behind(way) as behind:
        way.answering.clear()
        uploading = asyncio.create_task(behind.upload("a.zip", cut(bytes(PART_SIZE + 1), MIB)))
        # The server has begun it, and the answer that says so is still on its way.
        await until(begun)
        uploading.cancel()
        way.answering.set()
        with pytest.raises(asyncio.CancelledError):
            await uploading
    assert await shelf.open_uploads() == []


# Uploads that were left behind.


async def test_abandoned_uploads_are_reaped_and_young_ones_are_not(shelf: Shelf) -> None:
    bucket = f"reaped-{uuid4().hex[:8]}"
    await shelf.objects.create_bucket(bucket)

    async def still_open() -> list[str]:
        return await open_uploads(shelf.settings, bucket, "")

    stop = asyncio.Event()
    async with shelf.objects.multipart(bucket, "a.zip", ZIP) as upload:
        await upload.add_front(bytearray(PART_SIZE), PART_SIZE)
        await until(lambda: _is(still_open, ["a.zip"]))
        assert await shelf.objects.reap_uploads(bucket, begun_before=datetime.now(UTC) - timedelta(hours=1)) == 0
        assert await still_open() == ["a.zip"]
        # What a worker does all the time.
        reaping = asyncio.create_task(reap_uploads(shelf.objects, bucket, timedelta(seconds=-5), stop))
        await until(lambda: _is(still_open, []))
        with pytest.raises(ExhaustError) as raised:
            await upload.complete()
        assert raised.value.retryable
        stop.set()
        await reaping
    assert [found async for found in shelf.objects.list(bucket, "")] == []


async def _is(ask: Callable[[], Awaitable[list[str]]], expected: list[str]) -> bool:
    return await ask() == expected


# Streams.


@pytest.mark.parametrize("reset", [False, True])
async def test_a_stream_that_is_cut_goes_on_where_it_stopped(shelf: Shelf, *, reset: bool) -> None:
    data = noise(5 * MIB)
    await shelf.put("a", data=data)
    source = await shelf.head("a")
    async with (
        proxy(shelf.settings.s3_endpoint, cut_after=MIB + MIB // 2, reset=reset) as way,
        shelf.behind(way) as behind,
        asyncio.timeout(PATIENCE_S),
    ):
        assert await streamed(behind.objects, behind.bucket, source) == data
    assert way.cuts >= 3


@pytest.mark.parametrize(("start", "end"), [(0, 1), (MIB, 4 * MIB), (3 * MIB + 1, None), (MIB, MIB)])
async def test_a_part_of_an_object_is_streamed_over_cuts_too(shelf: Shelf, start: int, end: int | None) -> None:
    data = noise(5 * MIB)
    await shelf.put("a", data=data)
    source = await shelf.head("a")
    async with (
        proxy(shelf.settings.s3_endpoint, cut_after=MIB) as way,
        shelf.behind(way) as behind,
        asyncio.timeout(PATIENCE_S),
    ):
        stream = behind.objects.stream(behind.bucket, source, start=start, end=end)
        assert b"".join([chunk async for chunk in stream]) == data[start:end]


@pytest.mark.parametrize("size", [0, 1, MIB, 3 * MIB + 1])
async def test_a_stream_comes_in_chunks_of_bounded_size(shelf: Shelf, size: int) -> None:
    data = noise(size)
    await shelf.put("a", data=data)
    chunks = [chunk async for chunk in shelf.objects.stream(shelf.bucket, await shelf.head("a"))]
    assert b"".join(chunks) == data
    assert max(map(len, chunks), default=0) <= MIB


async def test_a_stream_may_be_left_early(shelf: Shelf) -> None:
    await shelf.put("a", data=bytes(4 * MIB))
    source = await shelf.head("a")
    for _ in range(40):  # more often than there are connections
        async with asyncio.timeout(PATIENCE_S), aclosing(shelf.objects.stream(shelf.bucket, source)) as chunks:
            assert await anext(chunks)


@pytest.mark.parametrize("fate", ["replaced", "deleted"])
async def test_an_object_that_changed_before_it_is_read_is_refused(shelf: Shelf, fate: str) -> None:
    await shelf.put("a", data=b"as it was")
    source = await shelf.head("a")
    await change(shelf, fate, b"as it is!")
    with pytest.raises(SourceObjectError) as raised:
        await streamed(shelf.objects, shelf.bucket, source)
    assert raised.value.code is ErrorCode.SOURCE_OBJECT_CHANGED
    assert raised.value.source_object == source.key
    assert raised.value.retryable


@pytest.mark.parametrize("fate", ["replaced", "deleted"])
async def test_an_object_that_changes_while_it_is_read_is_refused(shelf: Shelf, fate: str) -> None:
    await shelf.put("a", data=noise(4 * MIB))
    source = await shelf.head("a")
    async with (
        proxy(shelf.settings.s3_endpoint, cut_after=MIB) as way,
        shelf.behind(way) as behind,
        aclosing(behind.objects.stream(behind.bucket, source)) as chunks,
    ):
        await anext(chunks)
        await change(shelf, fate, bytes(4 * MIB))
        with pytest.raises(SourceObjectError) as raised:
            _ = [chunk async for chunk in chunks]
    assert raised.value.code is ErrorCode.SOURCE_OBJECT_CHANGED
    assert raised.value.source_object == source.key


async def change(shelf: Shelf, fate: str, data: bytes) -> None:
    if fate == "replaced":
        await shelf.put("a", data=data)
    else:
        await delete_object(shelf.settings, shelf.bucket, f"{shelf.prefix}a")


# Signed addresses.


async def test_a_signed_address_gives_the_object_to_anybody_as_a_file(shelf: Shelf) -> None:
    await shelf.put("a.zip", data=b"0123456789")
    url = await shelf.objects.signed_url(
        shelf.bucket, f"{shelf.prefix}a.zip", lifetime=timedelta(minutes=5), file_name="days.zip"
    )
    assert shelf.settings.s3_secret_key.get_secret_value() not in url
    async with aiohttp.ClientSession() as http:
        async with http.get(url) as answer:
            assert (answer.status, await answer.read()) == (200, b"0123456789")
            assert answer.headers["Content-Disposition"] == 'attachment; filename="days.zip"'
            assert answer.content_type == ZIP
        async with http.get(url, headers={"Range": "bytes=3-5"}) as answer:
            assert (answer.status, await answer.read()) == (206, b"345")
        async with http.put(url, data=b"other") as answer:
            assert answer.status == 403
    assert await shelf.objects.get(shelf.bucket, f"{shelf.prefix}a.zip") == b"0123456789"


async def test_a_signed_address_that_was_changed_or_is_old_gives_nothing(shelf: Shelf) -> None:
    await shelf.put("a.zip", "b.zip")
    key = f"{shelf.prefix}a.zip"
    url = await shelf.objects.signed_url(shelf.bucket, key, lifetime=timedelta(minutes=5), file_name="days.zip")
    short = await shelf.objects.signed_url(shelf.bucket, key, lifetime=timedelta(seconds=1), file_name="days.zip")
    last = url[-1]
    tampered = [
        url.replace("a.zip", "b.zip", 1),
        url.replace("X-Amz-Expires=300", "X-Amz-Expires=3000"),
        url.replace("days.zip", "else.zip"),
        url[:-1] + ("0" if last != "0" else "1"),
        url.partition("?")[0],
    ]
    assert url not in tampered
    async with aiohttp.ClientSession() as http:

        async def refuses(address: str) -> bool:
            async with http.get(address) as answer:
                return answer.status == 403

        for address in tampered:
            assert await refuses(address), address
        await until(lambda: refuses(short))
        assert not await refuses(url)


# Trouble.


async def test_wrong_credentials_are_told_without_them(shelf: Shelf) -> None:
    planted = "planted-secret-5Zq9"
    for update in ({"s3_secret_key": SecretStr(planted)}, {"s3_access_key": SecretStr(planted)}):
        async with open_objects(shelf.settings.model_copy(update=update)) as objects:
            source = ObjectInfo(f"{shelf.prefix}a", "etag", 10)
            for attempt in [*calls(objects, shelf), streamed(objects, shelf.bucket, source)]:
                with pytest.raises(ExhaustError) as raised:
                    await attempt
                assert raised.value.code is ErrorCode.INTERNAL_ERROR
                assert not raised.value.retryable
                assert "check the credentials" in raised.value.message
                told = "".join(traceback.format_exception(raised.value))
                assert planted not in told
                assert shelf.settings.s3_secret_key.get_secret_value() not in told


async def test_an_s3_that_is_away_is_told(shelf: Shelf) -> None:
    settings = shelf.settings.model_copy(update={"s3_endpoint": f"http://127.0.0.1:{closed_port()}"})
    async with open_objects(settings) as objects, asyncio.timeout(PATIENCE_S):
        outcomes = await asyncio.gather(*calls(objects, shelf), return_exceptions=True)
    for outcome in outcomes:
        assert isinstance(outcome, ExhaustError), outcome
        assert outcome.code is ErrorCode.SERVICE_UNAVAILABLE
        assert outcome.retryable


def calls(objects: Objects, shelf: Shelf) -> list[Awaitable[object]]:
    """Every operation that talks to the server, save a stream, which waits long for one that is away."""
    key = f"{shelf.prefix}a"

    async def listed() -> list[ObjectInfo]:
        return [found async for found in objects.list(shelf.bucket, shelf.prefix)]

    async def folders() -> list[str]:
        return [found async for found in objects.folders(shelf.bucket, shelf.prefix)]

    return [
        listed(),
        folders(),
        objects.get(shelf.bucket, key),
        objects.head(shelf.bucket, key),
        objects.put(shelf.bucket, key, b""),
        objects.upload(shelf.bucket, key, cut(b"small", 5), content_type=ZIP),
        objects.upload(shelf.bucket, key, cut(bytes(PART_SIZE + 1), MIB), content_type=ZIP),
        objects.create_bucket(f"bucket-{uuid4().hex[:8]}"),
        objects.ping(shelf.bucket),
    ]
