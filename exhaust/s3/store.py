"""The object store: listing, reading, writing and presigned URLs."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import aclosing, asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Final, TypeVar

import structlog

from exhaust.errors import Dependency, ErrorCode, ExhaustError, SourceObjectError, unavailable
from exhaust.metrics.call_times import CallTimes
from exhaust.s3.driver import CONNECT_TIMEOUT, CONNECTIONS, DRIVER_ERRORS, READ_TIMEOUT, open_clients, store_call
from exhaust.s3.errors import NoSuchUploadError, ObjectExistsError, ObjectMissingError
from exhaust.s3.multipart import MultipartUpload
from exhaust.s3.object_info import ObjectInfo
from exhaust.s3.streamed_upload import upload_stream

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Collection, Mapping
    from datetime import datetime

    from types_aiobotocore_s3 import S3Client
    from types_aiobotocore_s3.type_defs import LifecycleRuleTypeDef, ListObjectsV2OutputTypeDef, PutObjectRequestTypeDef

    from exhaust.metrics.registry import MetricRegistry
    from exhaust.settings import StoreSettings

READ_CHUNK: Final = 1024 * 1024
MAX_CONCURRENT_PARTS: Final = 4  # of all uploads of a process, each 5 MiB or more in memory
MAX_RESUMES: Final = 5  # in a row, without a byte between them
RESUME_DELAY: Final = timedelta(milliseconds=100)  # doubled before each

Page = TypeVar("Page")

log = structlog.get_logger(__name__)


class ObjectStore:
    """An S3 store. Every method raises ExhaustError SERVICE_UNAVAILABLE when the store does not answer."""

    def __init__(self, reader: S3Client, writer: S3Client, streamer: S3Client) -> None:
        self._reader = reader
        self._writer = writer
        self._streamer = streamer
        self._part_slots = asyncio.Semaphore(MAX_CONCURRENT_PARTS)

    async def list(self, bucket: str, prefix: str, *, after: str = "") -> AsyncIterator[ObjectInfo]:
        """List the objects whose keys start with a prefix, in key order, across all pages.

        Args:
            bucket: of the objects.
            prefix: of their keys.
            after: a key, which need not be there; begin behind it.
        """
        async for page in self._pages(bucket, prefix, delimiter="", after=after):
            for entry in page.get("Contents", ()):
                yield ObjectInfo(entry["Key"], entry["ETag"].strip('"'), entry["Size"], entry["LastModified"])

    async def list_folders(self, bucket: str, prefix: str) -> AsyncIterator[str]:
        """List the names of the folders directly below a prefix, without slashes."""
        async for page in self._pages(bucket, prefix, delimiter="/"):
            for entry in page.get("CommonPrefixes", ()):
                yield entry["Prefix"][len(prefix) : -1]

    def _pages(
        self, bucket: str, prefix: str, *, delimiter: str, after: str = ""
    ) -> AsyncIterator[ListObjectsV2OutputTypeDef]:
        paginator = self._reader.get_paginator("list_objects_v2")
        pages = paginator.paginate(Bucket=bucket, Prefix=prefix, Delimiter=delimiter, StartAfter=after)
        return _each_page(pages, bucket, prefix)

    async def get(self, bucket: str, key: str) -> bytes:
        """Return the bytes of a small object.

        Raises:
            ObjectMissingError: there is no such object.
        """
        async with store_call(bucket, key):
            answer = await self._reader.get_object(Bucket=bucket, Key=key)
            body = answer["Body"]  # entering it returns the response, whose read() is another
            async with body:
                return await body.read()

    async def head(self, bucket: str, key: str) -> ObjectInfo:
        """Return the size and ETag of an object.

        Raises:
            ObjectMissingError: there is no such object.
        """
        async with store_call(bucket, key):
            answer = await self._reader.head_object(Bucket=bucket, Key=key)
        return ObjectInfo(key, answer["ETag"].strip('"'), answer["ContentLength"])

    async def stream(
        self, bucket: str, source: ObjectInfo, *, start: int = 0, end: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        """Read an object in chunks of READ_CHUNK bytes, the last of which may be shorter.

        When the connection breaks, reading goes on where it stopped.

        Args:
            bucket: of the object.
            source: the object as listed.
            start: offset of the first byte.
            end: offset behind the last byte; None for the end of the object.

        Raises:
            SourceObjectError: SOURCE_OBJECT_CHANGED when the object was replaced or deleted since it was listed.
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
                    raise unavailable(Dependency.S3) from cut
                await asyncio.sleep(RESUME_DELAY.total_seconds() * 2**resumes)
        if chunk:
            yield bytes(chunk)

    async def _read(self, bucket: str, source: ObjectInfo, start: int, stop: int) -> AsyncGenerator[bytes, None]:
        try:
            async with store_call(bucket, source.key):
                answer = await self._streamer.get_object(
                    Bucket=bucket, Key=source.key, IfMatch=source.etag, Range=f"bytes={start}-{stop - 1}"
                )
        except (ObjectMissingError, ObjectExistsError) as error:
            raise SourceObjectError(
                ErrorCode.SOURCE_OBJECT_CHANGED, source.key, "was replaced or deleted while it was being read"
            ) from error
        body = answer["Body"]  # entering it returns the response, whose read() is another
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
        """Write a small object with one call.

        Raises:
            ObjectExistsError: `if_absent` is set, and there is an object with this key.
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
        """Write an object of any size from a stream, with few parts in memory.

        An upload that fails or is cancelled leaves nothing in the store.

        Args:
            bucket: of the new object.
            key: of the new object.
            chunks: its bytes behind the leading ones; closed at the end.
            content_type: of the new object.
            leading_bytes: returns its first bytes; it is called when the chunks have ended.
        """
        async with aclosing(chunks), self.multipart_upload(bucket, key, content_type) as upload:
            small = await upload_stream(upload, chunks, leading_bytes)
        if small is not None:
            async with self._part_slots:
                await self.put(bucket, key, bytes(small), content_type=content_type)

    async def delete_prefix(self, bucket: str, prefix: str, *, keep: Collection[str] = ()) -> int:
        """Delete the objects whose keys start with a prefix, but those to keep; return how many were deleted.

        Raises:
            ValueError: the prefix does not end in a slash, so that it may be that of others too.
        """
        if not prefix.endswith("/"):
            raise ValueError(f"{prefix!r} names no folder")
        keys = [found.key async for found in self.list(bucket, prefix) if found.key not in keep]
        for key in keys:
            async with store_call(bucket, key):
                await self._writer.delete_object(Bucket=bucket, Key=key)
        return len(keys)

    def multipart_upload(self, bucket: str, key: str, content_type: str) -> MultipartUpload:
        """Return a multipart upload, which is a context manager."""
        return MultipartUpload(self._writer, self._part_slots, bucket, key, content_type)

    async def abort_abandoned_uploads(self, bucket: str, *, started_before: datetime) -> int:
        """Abort the multipart uploads that started before a time; return their number.

        A process that is killed leaves its uploads behind: their parts take space, and no listing of
        objects shows them.
        """
        aborted = 0
        pages = self._writer.get_paginator("list_multipart_uploads").paginate(Bucket=bucket)
        async for page in _each_page(pages, bucket):
            for upload in page.get("Uploads", ()):
                if upload["Initiated"] < started_before:
                    with contextlib.suppress(NoSuchUploadError):  # another process aborted it first
                        async with store_call(bucket, upload["Key"]):
                            await self._writer.abort_multipart_upload(
                                Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"]
                            )
                    aborted += 1
        return aborted

    async def presigned_url(
        self, bucket: str, key: str, *, lifetime: timedelta, file_name: str, head: bool = False
    ) -> str:
        """Return a URL that lets anybody download one object until it expires; browsers save it under the file name.

        Args:
            bucket: of the object.
            key: of the object.
            lifetime: until it expires.
            file_name: of the download.
            head: sign it for HEAD, which tells size and entity tag, and for no GET.
        """
        return await self._reader.generate_presigned_url(
            "head_object" if head else "get_object",
            Params={
                "Bucket": bucket,
                "Key": key,
                "ResponseContentDisposition": f'attachment; filename="{file_name}"',
                "ResponseContentType": "application/zip",
            },
            ExpiresIn=int(lifetime.total_seconds()),
        )

    async def create_bucket(self, bucket: str) -> bool:
        """Create a bucket; return False when it exists already."""
        try:
            async with store_call(bucket):
                await self._writer.create_bucket(Bucket=bucket)
        except ObjectExistsError:
            return False
        return True

    async def set_expiration(self, bucket: str, lifetimes: Mapping[str, timedelta]) -> None:
        """Have the store delete objects some days after they were written, in place of all earlier rules of the bucket.

        Args:
            bucket: where the rules apply.
            lifetimes: whole days, by prefix of the key.
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
        """Raise ExhaustError SERVICE_UNAVAILABLE when the store does not answer, or has no such bucket."""
        try:
            async with store_call(bucket, deadline=CONNECT_TIMEOUT):
                await self._reader.head_bucket(Bucket=bucket)
        except ObjectMissingError as error:
            raise unavailable(f"bucket {bucket}") from error


async def _each_page(pages: AsyncIterable[Page], bucket: str, prefix: str = "") -> AsyncIterator[Page]:
    """Yield the pages of a listing, each with a deadline of its own."""
    coming = aiter(pages)
    while True:
        async with store_call(bucket, prefix):
            page = await anext(coming, None)
        if page is None:
            return
        yield page


@asynccontextmanager
async def open_object_store(
    settings: StoreSettings, registry: MetricRegistry | None = None, *, streams: int = CONNECTIONS
) -> AsyncIterator[ObjectStore]:
    """Open the store of the settings; it connects when it is first used.

    Args:
        settings: where it is, and as whom to call it.
        registry: exports how long calls take.
        streams: objects that may be streamed at once; further ones wait. Other reads do not wait for them.

    Raises:
        ConfigurationError: neither the settings nor the platform have credentials.
    """
    times = CallTimes(registry, Dependency.S3)
    async with open_clients(settings, times, CONNECTIONS, CONNECTIONS, streams) as (reader, writer, streamer):
        yield ObjectStore(reader, writer, streamer)
