"""Streams survive broken connections, and refuse an object that changed."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from exhaust.errors import ErrorCode, SourceObjectError
from tests.integration.objects.conftest import MIB, TIMEOUT_S, ScratchPrefix, pseudo_random, read_stream
from tests.support.s3_operations import delete_object
from tests.support.s3_proxy import proxy


@pytest.mark.parametrize("reset", [False, True])
async def test_a_stream_resumes_where_its_connection_broke(scratch: ScratchPrefix, *, reset: bool) -> None:
    data = pseudo_random(5 * MIB)
    await scratch.put("a", data=data)
    source = await scratch.head("a")
    async with (
        proxy(scratch.settings.s3_endpoint, cut_after=MIB + MIB // 2, reset=reset) as faulty_proxy,
        scratch.through(faulty_proxy) as proxied,
        asyncio.timeout(TIMEOUT_S),
    ):
        assert await read_stream(proxied.objects, proxied.bucket, source) == data
    assert faulty_proxy.cuts >= 3


@pytest.mark.parametrize(("start", "end"), [(0, 1), (MIB, 4 * MIB), (3 * MIB + 1, None), (MIB, MIB)])
async def test_a_range_of_an_object_resumes_where_its_connection_broke(
    scratch: ScratchPrefix, start: int, end: int | None
) -> None:
    data = pseudo_random(5 * MIB)
    await scratch.put("a", data=data)
    source = await scratch.head("a")
    async with (
        proxy(scratch.settings.s3_endpoint, cut_after=MIB) as faulty_proxy,
        scratch.through(faulty_proxy) as proxied,
        asyncio.timeout(TIMEOUT_S),
    ):
        stream = proxied.objects.stream(proxied.bucket, source, start=start, end=end)
        assert b"".join([chunk async for chunk in stream]) == data[start:end]


@pytest.mark.parametrize("size", [0, 1, MIB, 3 * MIB + 1])
async def test_a_stream_comes_in_chunks_of_bounded_size(scratch: ScratchPrefix, size: int) -> None:
    data = pseudo_random(size)
    await scratch.put("a", data=data)
    chunks = [chunk async for chunk in scratch.objects.stream(scratch.bucket, await scratch.head("a"))]
    assert b"".join(chunks) == data
    assert max(map(len, chunks), default=0) <= MIB


async def test_a_stream_that_is_left_early_frees_its_connection(scratch: ScratchPrefix) -> None:
    await scratch.put("a", data=bytes(4 * MIB))
    source = await scratch.head("a")
    for _ in range(40):  # more often than there are connections
        async with asyncio.timeout(TIMEOUT_S), aclosing(scratch.objects.stream(scratch.bucket, source)) as chunks:
            assert await anext(chunks)


@pytest.mark.parametrize("fate", ["replaced", "deleted"])
async def test_an_object_that_changed_before_it_is_read_is_refused(scratch: ScratchPrefix, fate: str) -> None:
    await scratch.put("a", data=b"as it was")
    source = await scratch.head("a")
    await change(scratch, fate, b"as it is!")
    with pytest.raises(SourceObjectError) as raised:
        await read_stream(scratch.objects, scratch.bucket, source)
    assert raised.value.code is ErrorCode.SOURCE_OBJECT_CHANGED
    assert raised.value.source_object == source.key
    assert raised.value.retryable


@pytest.mark.parametrize("fate", ["replaced", "deleted"])
async def test_an_object_that_changes_while_it_is_read_is_refused(scratch: ScratchPrefix, fate: str) -> None:
    await scratch.put("a", data=pseudo_random(4 * MIB))
    source = await scratch.head("a")
    async with (
        proxy(scratch.settings.s3_endpoint, cut_after=MIB) as faulty_proxy,
        scratch.through(faulty_proxy) as proxied,
        aclosing(proxied.objects.stream(proxied.bucket, source)) as chunks,
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
