"""Uploads of any size store their bytes, and leave nothing when they fail."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from exhaust.errors import ErrorCode, ExhaustError, SourceObjectError
from exhaust.process.health import Health
from exhaust.s3.multipart import MIN_PART_SIZE as PART_SIZE
from services.aggregator.upload_reaper import reap_uploads
from tests.integration.objects.conftest import (
    MIB,
    TIMEOUT_S,
    ZIP,
    ScratchPrefix,
    in_chunks,
    pseudo_random,
    read_stream,
    wait_until,
)
from tests.support.s3_operations import list_multipart_uploads
from tests.support.s3_proxy import proxy

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable


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
@pytest.mark.parametrize("leading", [b"", b"what is known last"])
async def test_an_upload_of_any_size_holds_the_same_bytes(
    scratch: ScratchPrefix, size: int, parts: int, leading: bytes
) -> None:
    data = pseudo_random(size)
    await scratch.upload("a.zip", in_chunks(data, 777_777), leading)
    found = await scratch.head("a.zip")
    assert found.size == len(leading) + size
    # The ETag of a multipart upload ends in the number of its parts.
    assert found.etag.partition("-")[2] == (str(parts) if parts else "")
    assert await read_stream(scratch.objects, scratch.bucket, found) == leading + data
    assert await scratch.list_multipart_uploads() == []


async def test_a_chunk_may_hold_several_parts(scratch: ScratchPrefix) -> None:
    data = pseudo_random(3 * PART_SIZE + 5)
    await scratch.upload("a.zip", in_chunks(data, len(data)))
    assert await read_stream(scratch.objects, scratch.bucket, await scratch.head("a.zip")) == data


@pytest.mark.parametrize("size", [MIB, PART_SIZE + MIB, 2 * PART_SIZE + MIB])
async def test_an_upload_whose_source_fails_leaves_nothing(scratch: ScratchPrefix, size: int) -> None:
    closed = asyncio.Event()

    async def failing() -> AsyncGenerator[bytes, None]:
        try:
            async for chunk in in_chunks(bytes(size), MIB):
                yield chunk
            raise SourceObjectError(ErrorCode.SOURCE_OBJECT_UNREADABLE, "raw/a", "is broken")
        finally:
            closed.set()

    with pytest.raises(SourceObjectError, match="raw/a"):
        await scratch.upload("a.zip", failing())
    assert closed.is_set()
    assert await scratch.names() == []
    assert await scratch.list_multipart_uploads() == []


async def test_an_upload_that_is_cancelled_leaves_nothing(scratch: ScratchPrefix) -> None:
    waiting, closed = asyncio.Event(), asyncio.Event()

    async def endless() -> AsyncGenerator[bytes, None]:
        try:
            yield bytes(2 * PART_SIZE + 1)
            waiting.set()
            await asyncio.Event().wait()
        finally:
            closed.set()

    uploading = asyncio.create_task(scratch.upload("a.zip", endless()))
    await asyncio.wait_for(waiting.wait(), TIMEOUT_S)
    assert await scratch.list_multipart_uploads() == [f"{scratch.prefix}a.zip"]
    uploading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await uploading
    assert closed.is_set()
    assert await scratch.names() == []
    assert await scratch.list_multipart_uploads() == []


async def test_an_upload_that_is_cancelled_while_it_starts_leaves_nothing(scratch: ScratchPrefix) -> None:
    async def is_started() -> bool:
        return bool(await scratch.list_multipart_uploads())

    async with proxy(scratch.settings.s3_endpoint) as faulty_proxy, scratch.through(faulty_proxy) as proxied:
        faulty_proxy.answering.clear()
        uploading = asyncio.create_task(proxied.upload("a.zip", in_chunks(bytes(PART_SIZE + 1), MIB)))
        # The server has started the upload, and its answer is still held back.
        await wait_until(is_started)
        uploading.cancel()
        faulty_proxy.answering.set()
        with pytest.raises(asyncio.CancelledError):
            await uploading
    assert await scratch.list_multipart_uploads() == []


async def test_old_uploads_are_aborted_and_young_ones_are_not(scratch: ScratchPrefix) -> None:
    bucket = f"reaped-{uuid4().hex[:8]}"
    await scratch.objects.create_bucket(bucket)

    async def still_open() -> list[str]:
        return await list_multipart_uploads(scratch.settings, bucket, "")

    health = Health()
    async with scratch.objects.multipart_upload(bucket, "a.zip", ZIP) as upload:
        await upload.add_part_from(bytearray(PART_SIZE), PART_SIZE)
        await wait_until(lambda: _is(still_open, ["a.zip"]))
        assert (
            await scratch.objects.abort_abandoned_uploads(bucket, started_before=datetime.now(UTC) - timedelta(hours=1))
            == 0
        )
        assert await still_open() == ["a.zip"]
        # As every worker does all the time.
        reaping = asyncio.create_task(reap_uploads(health, scratch.objects, bucket, timedelta(seconds=-5)))
        await wait_until(lambda: _is(still_open, []))
        with pytest.raises(ExhaustError) as raised:
            await upload.complete()
        assert raised.value.retryable
        health.stop.set()
        await reaping
    assert [found async for found in scratch.objects.list(bucket, "")] == []


async def _is(ask: Callable[[], Awaitable[list[str]]], expected: list[str]) -> bool:
    return await ask() == expected
