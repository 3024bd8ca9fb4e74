"""Wrong credentials and a store that does not answer are errors without secrets."""

from __future__ import annotations

import asyncio
import traceback
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from pydantic import SecretStr

from exhaust.errors import ErrorCode, ExhaustError
from exhaust.s3.multipart import MIN_PART_SIZE as PART_SIZE
from exhaust.s3.object_info import ObjectInfo
from exhaust.s3.store import ObjectStore, open_object_store
from tests.integration.objects.conftest import MIB, TIMEOUT_S, ZIP, ScratchPrefix, in_chunks, read_stream
from tests.support.s3_operations import credentials_of
from tests.support.s3_proxy import closed_port

if TYPE_CHECKING:
    from collections.abc import Awaitable


async def test_the_error_for_wrong_credentials_does_not_show_them(scratch: ScratchPrefix) -> None:
    planted = "planted-secret-5Zq9"
    for update in ({"s3_secret_key": SecretStr(planted)}, {"s3_access_key": SecretStr(planted)}):
        async with open_object_store(scratch.settings.model_copy(update=update)) as objects:
            source = ObjectInfo(f"{scratch.prefix}a", "etag", 10)
            for attempt in [*calls(objects, scratch), read_stream(objects, scratch.bucket, source)]:
                with pytest.raises(ExhaustError) as raised:
                    await attempt
                assert raised.value.code is ErrorCode.INTERNAL_ERROR
                assert not raised.value.retryable
                assert "check the credentials" in raised.value.message
                told = "".join(traceback.format_exception(raised.value))
                assert planted not in told
                assert credentials_of(scratch.settings).secret_key not in told


async def test_every_call_fails_when_s3_does_not_answer(scratch: ScratchPrefix) -> None:
    settings = scratch.settings.model_copy(update={"s3_endpoint": f"http://127.0.0.1:{closed_port()}"})
    async with open_object_store(settings) as objects, asyncio.timeout(TIMEOUT_S):
        outcomes = await asyncio.gather(*calls(objects, scratch), return_exceptions=True)
    for outcome in outcomes:
        assert isinstance(outcome, ExhaustError), outcome
        assert outcome.code is ErrorCode.SERVICE_UNAVAILABLE
        assert outcome.retryable


def calls(objects: ObjectStore, scratch: ScratchPrefix) -> list[Awaitable[object]]:
    """Every operation that calls the server, except a stream, which waits long for a server that is gone."""
    key = f"{scratch.prefix}a"

    async def listed() -> list[ObjectInfo]:
        return [found async for found in objects.list(scratch.bucket, scratch.prefix)]

    async def folders() -> list[str]:
        return [found async for found in objects.list_folders(scratch.bucket, scratch.prefix)]

    return [
        listed(),
        folders(),
        objects.get(scratch.bucket, key),
        objects.head(scratch.bucket, key),
        objects.put(scratch.bucket, key, b""),
        objects.upload(scratch.bucket, key, in_chunks(b"small", 5), content_type=ZIP),
        objects.upload(scratch.bucket, key, in_chunks(bytes(PART_SIZE + 1), MIB), content_type=ZIP),
        objects.create_bucket(f"bucket-{uuid4().hex[:8]}"),
        objects.ping(scratch.bucket),
    ]
