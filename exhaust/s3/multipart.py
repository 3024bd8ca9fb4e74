"""Multipart uploads whose parts are uploaded concurrently, and which are aborted when they fail.

Every part but the last has 5 MiB to 5 GiB, and an upload has 10,000 parts at most: Amazon S3's limits, which other
stores share.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final, Self

import structlog

from exhaust.errors import ExhaustError
from exhaust.process.failpoints import failpoint
from exhaust.s3.driver import store_call

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

    from types_aiobotocore_s3 import S3Client
    from types_aiobotocore_s3.type_defs import CompletedPartTypeDef

    from exhaust.s3.object_info import ObjectInfo

MIN_PART_SIZE: Final = 5 * 1024 * 1024
PARTS_BEFORE_GROWTH: Final = 1000  # later parts are larger, so that 268 GiB fit into 10,000
MAX_CONCURRENT_COPIES: Final = 4  # UploadPartCopy calls; eight cost SeaweedFS a twentieth more processor time

log = structlog.get_logger(__name__)


class MultipartUpload:
    """A multipart upload. It starts with its first part; leaving the block aborts it unless it is complete."""

    def __init__(self, client: S3Client, slots: asyncio.Semaphore, bucket: str, key: str, content_type: str) -> None:
        """Prepare an upload, without calling the store.

        Args:
            client: calls the store.
            slots: limits the parts whose bytes are in memory; uploads may share it.
            bucket: of the new object.
            key: of the new object.
            content_type: of the new object.
        """
        self._client = client
        self._bucket = bucket
        self._key = key
        self._content_type = content_type
        self._upload_id = ""  # while the store knows of no upload
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
        if self._upload_id:
            await asyncio.shield(self._abort())

    @property
    def part_size(self) -> int:
        """The size that the next part should have."""
        return MIN_PART_SIZE * (1 + len(self._parts) // PARTS_BEFORE_GROWTH)

    async def add_part(self, read: Callable[[], Awaitable[bytes]], *, number: int | None = None) -> None:
        """Upload a part in the background; return as soon as there is a slot for it.

        Args:
            read: returns the bytes; it is called when the slot is there.
            number: reserved for the part before; None for the next number.
        """

        async def send(number: int) -> str:
            return await self._upload_part(number, await read())

        await self._acquire_slot(self._slots)
        self._start_part(send, self._slots, number)

    def reserve_part_number(self) -> int:
        """Reserve the next number, for a part that is added after the parts behind it."""
        self._next_number += 1
        return self._next_number - 1

    async def add_part_from(self, buffer: bytearray, size: int) -> None:
        """Upload the first bytes of a buffer as a part, and remove them from the buffer once there is a slot for it."""
        await self._acquire_slot(self._slots)
        data = bytes(memoryview(buffer)[:size])
        del buffer[:size]
        self._start_part(lambda number: self._upload_part(number, data), self._slots)

    async def copy_part(self, source: ObjectInfo, start: int, end: int) -> None:
        """Have the store copy bytes of an object of the same bucket as a part.

        Args:
            source: the object as listed; the copy fails when it has changed since.
            start: offset of the first byte.
            end: offset behind the last byte.
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
        """Wait for all parts, and make them one object.

        Raises:
            ExhaustError: a part could not be uploaded or copied.
        """
        numbers = sorted(self._parts)
        etags = await asyncio.gather(*(self._parts[number] for number in numbers))
        parts: list[CompletedPartTypeDef] = [
            {"PartNumber": number, "ETag": etag} for number, etag in zip(numbers, etags, strict=True)
        ]
        failpoint("upload.before_complete")
        async with self._call():
            await self._client.complete_multipart_upload(
                Bucket=self._bucket, Key=self._key, UploadId=self._upload_id, MultipartUpload={"Parts": parts}
            )
        failpoint("upload.after_complete")
        self._upload_id = ""

    async def _upload_part(self, number: int, data: bytes) -> str:
        async with self._call():
            answer = await self._client.upload_part(
                Bucket=self._bucket, Key=self._key, UploadId=self._upload_id, PartNumber=number, Body=data
            )
        failpoint("upload.after_part")
        return answer["ETag"]

    async def _acquire_slot(self, slots: asyncio.Semaphore) -> None:
        """Start the upload if this is its first part, and wait for a free slot."""
        if not self._upload_id:
            await self._start_upload()
        for part in self._parts.values():
            if part.done():
                part.result()  # raise the first failure at once
        await slots.acquire()

    def _start_part(
        self, send: Callable[[int], Awaitable[str]], slots: asyncio.Semaphore, number: int | None = None
    ) -> None:
        number = number or self.reserve_part_number()
        part = asyncio.ensure_future(send(number))
        part.add_done_callback(lambda _: slots.release())  # also of a task that is cancelled before it runs
        self._parts[number] = part

    async def _start_upload(self) -> None:
        creating = asyncio.ensure_future(self._create_upload())
        try:
            self._upload_id = await asyncio.shield(creating)
        except asyncio.CancelledError:
            # The store starts the upload nevertheless, and only its id can abort it.
            with contextlib.suppress(ExhaustError):
                self._upload_id = await creating
            raise

    async def _create_upload(self) -> str:
        async with self._call():
            answer = await self._client.create_multipart_upload(
                Bucket=self._bucket, Key=self._key, ContentType=self._content_type
            )
        failpoint("upload.after_start")
        return answer["UploadId"]

    async def _abort(self) -> None:
        try:
            async with self._call():
                await self._client.abort_multipart_upload(Bucket=self._bucket, Key=self._key, UploadId=self._upload_id)
        except ExhaustError as error:
            log.warning("s3.abort_failed", key=self._key, error=str(error))

    def _call(self) -> AbstractAsyncContextManager[None]:
        return store_call(self._bucket, self._key)
