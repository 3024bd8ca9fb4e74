"""A prefix of keys for one test, on a real S3."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from exhaust.s3.store import ObjectStore, open_object_store
from tests.support.s3_operations import list_multipart_uploads

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable

    from exhaust.s3.object_info import ObjectInfo
    from exhaust.settings import S3RawBucketSettings
    from tests.support.s3_proxy import Proxy


TIMEOUT_S = 45.0
MIB = 1024 * 1024
ZIP = "application/zip"


@dataclass(frozen=True, slots=True)
class ScratchPrefix:
    """The keys below a prefix that only one test uses."""

    objects: ObjectStore
    settings: S3RawBucketSettings
    bucket: str
    prefix: str

    async def put(self, *names: str, data: bytes = b"data") -> None:
        await asyncio.gather(*(self.objects.put(self.bucket, self.prefix + name, data) for name in names))

    async def names(self, below: str = "") -> list[str]:
        found = [found.key async for found in self.objects.list(self.bucket, self.prefix + below)]
        return [key.removeprefix(self.prefix) for key in found]

    async def upload(self, name: str, chunks: AsyncGenerator[bytes, None], leading: bytes = b"") -> None:
        await self.objects.upload(
            self.bucket, self.prefix + name, chunks, content_type=ZIP, leading_bytes=lambda: leading
        )

    async def head(self, name: str) -> ObjectInfo:
        return await self.objects.head(self.bucket, self.prefix + name)

    async def list_multipart_uploads(self) -> list[str]:
        return await list_multipart_uploads(self.settings, self.bucket, self.prefix)

    @asynccontextmanager
    async def through(self, faulty_proxy: Proxy) -> AsyncIterator[ScratchPrefix]:
        """The same prefix, reached through a proxy."""
        settings = self.settings.model_copy(update={"s3_endpoint": f"http://{faulty_proxy.address}"})
        async with open_object_store(settings) as objects:
            yield ScratchPrefix(objects, self.settings, self.bucket, self.prefix)


@pytest.fixture
def scratch(objects: ObjectStore, s3_settings: S3RawBucketSettings) -> ScratchPrefix:
    return ScratchPrefix(objects, s3_settings, s3_settings.s3_raw_bucket, f"scratch-{uuid4().hex[:8]}/")


def pseudo_random(size: int) -> bytes:
    return hashlib.shake_128(str(size).encode()).digest(size)


async def in_chunks(data: bytes, size: int) -> AsyncGenerator[bytes, None]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def wait_until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(TIMEOUT_S):
        for pause in itertools.repeat(0.05):
            if await condition():
                return
            await asyncio.sleep(pause)


async def read_stream(objects: ObjectStore, bucket: str, source: ObjectInfo) -> bytes:
    return b"".join([chunk async for chunk in objects.stream(bucket, source)])
