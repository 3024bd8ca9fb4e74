"""Streams survive cuts, and refuse an object that changed."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from exhaust.errors import ErrorCode, SourceObjectError
from tests.integration.objects.conftest import MIB, PATIENCE_S, ScratchPrefix, noise, streamed
from tests.support.s3_operations import delete_object
from tests.support.s3_proxy import proxy


@pytest.mark.parametrize("reset", [False, True])
async def test_a_stream_that_is_cut_goes_on_where_it_stopped(scratch: ScratchPrefix, *, reset: bool) -> None:
    data = noise(5 * MIB)
    await scratch.put("a", data=data)
    source = await scratch.head("a")
    async with (
        proxy(scratch.settings.s3_endpoint, cut_after=MIB + MIB // 2, reset=reset) as way,
        scratch.behind(way) as behind,
        asyncio.timeout(PATIENCE_S),
    ):
        assert await streamed(behind.objects, behind.bucket, source) == data
    assert way.cuts >= 3


@pytest.mark.parametrize(("start", "end"), [(0, 1), (MIB, 4 * MIB), (3 * MIB + 1, None), (MIB, MIB)])
async def test_a_part_of_an_object_is_streamed_over_cuts_too(
    scratch: ScratchPrefix, start: int, end: int | None
) -> None:
    data = noise(5 * MIB)
    await scratch.put("a", data=data)
    source = await scratch.head("a")
    async with (
        proxy(scratch.settings.s3_endpoint, cut_after=MIB) as way,
        scratch.behind(way) as behind,
        asyncio.timeout(PATIENCE_S),
    ):
        stream = behind.objects.stream(behind.bucket, source, start=start, end=end)
        assert b"".join([chunk async for chunk in stream]) == data[start:end]


@pytest.mark.parametrize("size", [0, 1, MIB, 3 * MIB + 1])
async def test_a_stream_comes_in_chunks_of_bounded_size(scratch: ScratchPrefix, size: int) -> None:
    data = noise(size)
    await scratch.put("a", data=data)
    chunks = [chunk async for chunk in scratch.objects.stream(scratch.bucket, await scratch.head("a"))]
    assert b"".join(chunks) == data
    assert max(map(len, chunks), default=0) <= MIB


async def test_a_stream_may_be_left_early(scratch: ScratchPrefix) -> None:
    await scratch.put("a", data=bytes(4 * MIB))
    source = await scratch.head("a")
    for _ in range(40):  # more often than there are connections
        async with asyncio.timeout(PATIENCE_S), aclosing(scratch.objects.stream(scratch.bucket, source)) as chunks:
            assert await anext(chunks)


@pytest.mark.parametrize("fate", ["replaced", "deleted"])
async def test_an_object_that_changed_before_it_is_read_is_refused(scratch: ScratchPrefix, fate: str) -> None:
    await scratch.put("a", data=b"as it was")
    source = await scratch.head("a")
    await change(scratch, fate, b"as it is!")
    with pytest.raises(SourceObjectError) as raised:
        await streamed(scratch.objects, scratch.bucket, source)
    assert raised.value.code is ErrorCode.SOURCE_OBJECT_CHANGED
    assert raised.value.source_object == source.key
    assert raised.value.retryable


@pytest.mark.parametrize("fate", ["replaced", "deleted"])
async def test_an_object_that_changes_while_it_is_read_is_refused(scratch: ScratchPrefix, fate: str) -> None:
    await scratch.put("a", data=noise(4 * MIB))
    source = await scratch.head("a")
    async with (
        proxy(scratch.settings.s3_endpoint, cut_after=MIB) as way,
        scratch.behind(way) as behind,
        aclosing(behind.objects.stream(behind.bucket, source)) as chunks,
    ):
        await anext(chunks)
        await change(scratch, fate, bytes(4 * MIB))
        with pytest.raises(SourceObjectError) as raised:
            _ = [chunk async for chunk in chunks]
    assert raised.value.code is ErrorCode.SOURCE_OBJECT_CHANGED
    assert raised.value.source_object == source.key


async def change(scratch: ScratchPrefix, fate: str, data: bytes) -> None:
    if fate == "replaced":
        await scratch.put("a", data=data)
    else:
        await delete_object(scratch.settings, scratch.bucket, f"{scratch.prefix}a")
