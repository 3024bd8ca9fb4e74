"""The operations on objects: listing, reading, writing, signing."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import aclosing, asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Final, TypeVar

import structlog

from exhaust.errors import ErrorCode, ExhaustError, SourceObjectError, unavailable
from exhaust.s3.driver import CONNECT_TIMEOUT, DRIVER_ERRORS, READ_TIMEOUT, open_clients, store_call
from exhaust.s3.errors import NoSuchUploadError, ObjectExistsError, ObjectMissingError
from exhaust.s3.multipart import MultipartUpload
from exhaust.s3.object_info import ObjectInfo
from exhaust.s3.streamed_upload import upload_stream

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Mapping
    from datetime import datetime

    from types_aiobotocore_s3 import S3Client
    from types_aiobotocore_s3.type_defs import LifecycleRuleTypeDef, ListObjectsV2OutputTypeDef, PutObjectRequestTypeDef

    from exhaust.settings import S3Settings

READ_CHUNK: Final = 1024 * 1024
MAX_CONCURRENT_PARTS: Final = 4  # parts of uploads on their way, each of 5 MiB or more
MAX_RESUMES: Final = 5  # in a row, without a byte between them
RESUME_DELAY: Final = timedelta(milliseconds=100)  # doubled before each

Page = TypeVar("Page")

log = structlog.get_logger(__name__)


class ObjectStore:
    """The operations on objects. All raise ExhaustError SERVICE_UNAVAILABLE when S3 does not answer."""

    def __init__(self, reader: S3Client, writer: S3Client) -> None:
        self._reader = reader
        self._writer = writer
        self._part_slots = asyncio.Semaphore(MAX_CONCURRENT_PARTS)

    async def list(self, bucket: str, prefix: str) -> AsyncIterator[ObjectInfo]:
        """Every object whose key starts with `prefix`, in key order, however many pages that takes."""
        async for page in self._pages(bucket, prefix, delimiter=""):
            for entry in page.get("Contents", ()):
                yield ObjectInfo(entry["Key"], entry["ETag"].strip('"'), entry["Size"])

    async def list_folders(self, bucket: str, prefix: str) -> AsyncIterator[str]:
        """Names of the folders right below `prefix`, without slashes."""
        async for page in self._pages(bucket, prefix, delimiter="/"):
            for entry in page.get("CommonPrefixes", ()):
                yield entry["Prefix"][len(prefix) : -1]

    def _pages(self, bucket: str, prefix: str, *, delimiter: str) -> AsyncIterator[ListObjectsV2OutputTypeDef]:
        paginator = self._reader.get_paginator("list_objects_v2")
        return _each_page(paginator.paginate(Bucket=bucket, Prefix=prefix, Delimiter=delimiter), bucket, prefix)

    async def get(self, bucket: str, key: str) -> bytes:
        """A small object, whole.

        Raises:
            ObjectMissingError: there is none.
        """
        async with store_call(bucket, key):
            answer = await self._reader.get_object(Bucket=bucket, Key=key)
            body = answer["Body"]  # entered, it gives another object
            async with body:
                return await body.read()

    async def head(self, bucket: str, key: str) -> ObjectInfo:
        """An object's size and ETag.

        Raises:
            ObjectMissingError: there is none.
        """
        async with store_call(bucket, key):
            answer = await self._reader.head_object(Bucket=bucket, Key=key)
        return ObjectInfo(key, answer["ETag"].strip('"'), answer["ContentLength"])

    async def stream(
        self, bucket: str, source: ObjectInfo, *, start: int = 0, end: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        """The bytes of one object in chunks of READ_CHUNK, the last perhaps less; a cut is resumed where it stopped.

        Args:
            bucket: where it lies.
            source: the object as listed.
            start: first byte.
            end: the byte behind the last; None for all.

        Raises:
            SourceObjectError: SOURCE_OBJECT_CHANGED when the object is not the listed one any more.
        """
        position = start
        stop = source.size if end is None else end
        resumes = 0
        chunk = bytearray()
        while position < stop:
            cut: Exception | None = None
            before = position
            try:
                async with aclosing(self._read(bucket, source, position, stop)) as arriving:
                    async for data in arriving:
                        position += len(data)
                        chunk += data
                        if len(chunk) >= READ_CHUNK:
                            yield bytes(memoryview(chunk)[:READ_CHUNK])
                            del chunk[:READ_CHUNK]
            except DRIVER_ERRORS as error:
                cut = error
            except ExhaustError as error:
                if not error.retryable or isinstance(error, SourceObjectError):
                    raise
                cut = error
            if position < stop:
                resumes = 1 if position > before else resumes + 1
                log.warning("s3.read_cut", key=source.key, offset=position, error=type(cut).__name__)
                if resumes > MAX_RESUMES:
                    raise unavailable("S3") from cut
                await asyncio.sleep(RESUME_DELAY.total_seconds() * 2**resumes)
        if chunk:
            yield bytes(chunk)

    async def _read(self, bucket: str, source: ObjectInfo, start: int, stop: int) -> AsyncGenerator[bytes, None]:
        try:
            async with store_call(bucket, source.key):
                answer = await self._reader.get_object(
                    Bucket=bucket, Key=source.key, IfMatch=source.etag, Range=f"bytes={start}-{stop - 1}"
                )
        except (ObjectMissingError, ObjectExistsError) as error:
            raise SourceObjectError(
                ErrorCode.SOURCE_OBJECT_CHANGED, source.key, "was replaced or deleted while it was being read"
            ) from error
        body = answer["Body"]  # entered, it gives another object
        async with body:
            while True:
                async with asyncio.timeout(READ_TIMEOUT.total_seconds()):
                    chunk = await body.read(READ_CHUNK)
                if not chunk:
                    return
                yield chunk

    async def put(
        self,
        bucket: str,
        key: str,
        data: bytes,
        *,
        content_type: str = "application/octet-stream",
        if_absent: bool = False,
    ) -> None:
        """Write a small object in one call.

        Raises:
            ObjectExistsError: `if_absent` is set and there is one already.
        """
        request: PutObjectRequestTypeDef = {"Bucket": bucket, "Key": key, "Body": data, "ContentType": content_type}
        if if_absent:
            request["IfNoneMatch"] = "*"
        async with store_call(bucket, key):
            await self._writer.put_object(**request)

    async def upload(
        self,
        bucket: str,
        key: str,
        chunks: AsyncGenerator[bytes, None],
        *,
        content_type: str,
        leading_bytes: Callable[[], bytes] = bytes,
    ) -> None:
        """Write an object of any size from a stream; few parts are held in memory.

        Nothing is left behind when it fails or is cancelled.

        Args:
            bucket: where the object shall lie.
            key: its name.
            chunks: its bytes.
            content_type: its type.
            leading_bytes: gives what stands before the chunks, when they have ended.
        """
        async with aclosing(chunks), self.multipart_upload(bucket, key, content_type) as upload:
            small = await upload_stream(upload, chunks, leading_bytes)
        if small is not None:
            async with self._part_slots:
                await self.put(bucket, key, bytes(small), content_type=content_type)

    def multipart_upload(self, bucket: str, key: str, content_type: str) -> MultipartUpload:
        """A multipart upload, to be entered."""
        return MultipartUpload(self._writer, self._part_slots, bucket, key, content_type)

    async def abort_abandoned_uploads(self, bucket: str, *, started_before: datetime) -> int:
        """Abort multipart uploads that were abandoned; how many there were.

        Their parts cost room and show in no listing. A process that is killed leaves its uploads behind.
        """
        aborted = 0
        pages = self._writer.get_paginator("list_multipart_uploads").paginate(Bucket=bucket)
        async for page in _each_page(pages, bucket):
            for upload in page.get("Uploads", ()):
                if upload["Initiated"] < started_before:
                    with contextlib.suppress(NoSuchUploadError):  # somebody else was faster
                        async with store_call(bucket, upload["Key"]):
                            await self._writer.abort_multipart_upload(
                                Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"]
                            )
                    aborted += 1
        return aborted

    async def presigned_url(self, bucket: str, key: str, *, lifetime: timedelta, file_name: str) -> str:
        """An address that lets anybody read this one object for a while, offered as a file to save."""
        return await self._reader.generate_presigned_url(
            "get_object",
            Params={
                "Bucket": bucket,
                "Key": key,
                "ResponseContentDisposition": f'attachment; filename="{file_name}"',
                "ResponseContentType": "application/zip",
            },
            ExpiresIn=int(lifetime.total_seconds()),
        )

    async def create_bucket(self, bucket: str) -> bool:
        """Create a bucket unless it exists; whether it was created now."""
        try:
            async with store_call(bucket):
                await self._writer.create_bucket(Bucket=bucket)
        except ObjectExistsError:
            return False
        return True

    async def set_expiration(self, bucket: str, lifetimes: Mapping[str, timedelta]) -> None:
        """Have the store delete objects some time after they were written; replaces what the bucket had been told.

        Args:
            bucket: the bucket.
            lifetimes: whole days, by what keys begin with.
        """
        rules: list[LifecycleRuleTypeDef] = [
            {"ID": prefix, "Status": "Enabled", "Filter": {"Prefix": prefix}, "Expiration": {"Days": lifetime.days}}
            for prefix, lifetime in lifetimes.items()
        ]
        async with store_call(bucket):
            await self._writer.put_bucket_lifecycle_configuration(
                Bucket=bucket, LifecycleConfiguration={"Rules": rules}
            )

    async def ping(self, bucket: str) -> None:
        """Raises ExhaustError when S3 does not answer for this bucket."""
        try:
            async with store_call(bucket, deadline=CONNECT_TIMEOUT):
                await self._reader.head_bucket(Bucket=bucket)
        except ObjectMissingError as error:
            raise unavailable(f"bucket {bucket}") from error


async def _each_page(pages: AsyncIterable[Page], bucket: str, prefix: str = "") -> AsyncIterator[Page]:
    """Give each page of a listing; every page has a deadline of its own."""
    coming = aiter(pages)
    while True:
        async with store_call(bucket, prefix):
            page = await anext(coming, None)
        if page is None:
            return
        yield page


@asynccontextmanager
async def open_object_store(settings: S3Settings) -> AsyncIterator[ObjectStore]:
    """Clients for the store; they connect when they are first used.

    Raises:
        ConfigurationError: there are no credentials.
    """
    async with open_clients(settings) as (reader, writer):
        yield ObjectStore(reader, writer)
