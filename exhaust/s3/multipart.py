"""Writing one large object in parts that travel at the same time; nothing is left behind when it fails.

Parts have 5 MiB to 5 GiB, save the last, and there are 10,000 at most: Amazon S3's limits, which other stores share.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final, Self

import structlog

from exhaust.errors import ExhaustError
from exhaust.s3.driver import store_call

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

    from types_aiobotocore_s3 import S3Client
    from types_aiobotocore_s3.type_defs import CompletedPartTypeDef

    from exhaust.s3.object_info import ObjectInfo

MIN_PART_SIZE: Final = 5 * 1024 * 1024
PARTS_BEFORE_GROWTH: Final = 1000  # later parts are larger, so that 268 GiB fit into 10,000
MAX_CONCURRENT_COPIES: Final = 4  # parts that the store copies by itself; eight cost SeaweedFS a twentieth more work

log = structlog.get_logger(__name__)


class MultipartUpload:
    """A multipart upload. It begins with its first part, and is aborted unless it was completed."""

    def __init__(self, client: S3Client, slots: asyncio.Semaphore, bucket: str, key: str, content_type: str) -> None:
        """Prepare.

        Args:
            client: that the upload is written with.
            slots: for parts whose bytes are held here; all uploads of a process may share it.
            bucket: where the object shall lie.
            key: its name.
            content_type: its type.
        """
        self._client = client
        self._bucket = bucket
        self._key = key
        self._content_type = content_type
        self._upload_id = ""
        self._parts: dict[int, asyncio.Future[str]] = {}
        self._next_number = 1
        self._slots = slots
        self._copy_slots = asyncio.Semaphore(MAX_CONCURRENT_COPIES)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for part in self._parts.values():
            part.cancel()
        await asyncio.gather(*self._parts.values(), return_exceptions=True)
        if self.is_started:
            await asyncio.shield(self._abort())

    @property
    def is_started(self) -> bool:
        """Whether the store knows of the upload."""
        return bool(self._upload_id)

    @property
    def part_size(self) -> int:
        """How many bytes the next part should have."""
        return MIN_PART_SIZE * (1 + len(self._parts) // PARTS_BEFORE_GROWTH)

    async def add_part(self, read: Callable[[], Awaitable[bytes]], *, number: int | None = None) -> None:
        """Add a part of bytes that travel through this process; returns when there is room for them.

        Args:
            read: gives the bytes, when it is their turn.
            number: that was taken for the part; None for the next.
        """

        async def send(number: int) -> str:
            return await self._upload_part(number, await read())

        await self._acquire_slot(self._slots)
        self._start_part(send, self._slots, number)

    def reserve_part_number(self) -> int:
        """The next part's number, for a part that is added after those behind it."""
        self._next_number += 1
        return self._next_number - 1

    async def add_part_from(self, buffer: bytearray, size: int) -> None:
        """Add a part of the first bytes of a buffer; they are taken off it once there is room for them."""
        await self._acquire_slot(self._slots)
        data = bytes(memoryview(buffer)[:size])
        del buffer[:size]
        self._start_part(lambda number: self._upload_part(number, data), self._slots)

    async def copy_part(self, source: ObjectInfo, start: int, end: int) -> None:
        """Add a part that the store copies from an object of the same bucket.

        Args:
            source: as it was listed; the copy fails if it is another one by now.
            start: first byte.
            end: the byte behind the last.
        """

        async def send(number: int) -> str:
            async with self._call():
                answer = await self._client.upload_part_copy(
                    Bucket=self._bucket,
                    Key=self._key,
                    UploadId=self._upload_id,
                    PartNumber=number,
                    CopySource={"Bucket": self._bucket, "Key": source.key},
                    CopySourceRange=f"bytes={start}-{end - 1}",
                    CopySourceIfMatch=source.etag,
                )
            return answer["CopyPartResult"]["ETag"]

        await self._acquire_slot(self._copy_slots)
        self._start_part(send, self._copy_slots)

    async def complete(self) -> None:
        """Make the object of its parts.

        Raises:
            ExhaustError: a part could not be written.
        """
        numbers = sorted(self._parts)
        etags = await asyncio.gather(*(self._parts[number] for number in numbers))
        parts: list[CompletedPartTypeDef] = [
            {"PartNumber": number, "ETag": etag} for number, etag in zip(numbers, etags, strict=True)
        ]
        async with self._call():
            await self._client.complete_multipart_upload(
                Bucket=self._bucket, Key=self._key, UploadId=self._upload_id, MultipartUpload={"Parts": parts}
            )
        self._upload_id = ""

    async def _upload_part(self, number: int, data: bytes) -> str:
        async with self._call():
            answer = await self._client.upload_part(
                Bucket=self._bucket, Key=self._key, UploadId=self._upload_id, PartNumber=number, Body=data
            )
        return answer["ETag"]

    async def _acquire_slot(self, slots: asyncio.Semaphore) -> None:
        """Begin, and wait for a free slot."""
        if not self.is_started:
            await self._start_upload()
        for part in self._parts.values():
            if part.done():
                part.result()  # the first failure ends the upload at once
        await slots.acquire()

    def _start_part(
        self, send: Callable[[int], Awaitable[str]], slots: asyncio.Semaphore, number: int | None = None
    ) -> None:
        number = number or self.reserve_part_number()
        part = asyncio.ensure_future(send(number))
        part.add_done_callback(lambda _: slots.release())  # also when it is cancelled before it has begun
        self._parts[number] = part

    async def _start_upload(self) -> None:
        creating = asyncio.ensure_future(self._create_upload())
        try:
            self._upload_id = await asyncio.shield(creating)
        except asyncio.CancelledError:
            # The store begins the upload all the same; only with its id can it be aborted.
            with contextlib.suppress(ExhaustError):
                self._upload_id = await creating
            raise

    async def _create_upload(self) -> str:
        async with self._call():
            answer = await self._client.create_multipart_upload(
                Bucket=self._bucket, Key=self._key, ContentType=self._content_type
            )
        return answer["UploadId"]

    async def _abort(self) -> None:
        try:
            async with self._call():
                await self._client.abort_multipart_upload(Bucket=self._bucket, Key=self._key, UploadId=self._upload_id)
        except ExhaustError as error:
            log.warning("s3.abort_failed", key=self._key, error=str(error))

    def _call(self) -> AbstractAsyncContextManager[None]:
        return store_call(self._bucket, self._key)
