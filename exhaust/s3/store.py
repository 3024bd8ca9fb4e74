"""The one place that talks to the S3 driver: listing, reading, writing, signing.

Reading and writing have clients of their own, because waiting for a free connection of a shared pool has no time-out.
"""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, contextmanager
from datetime import datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import structlog
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore.exceptions import BotoCoreError, ClientError
from botocore.utils import parse_timestamp

from exhaust.errors import ErrorCode, ExhaustError, SourceObjectError, unavailable
from exhaust.s3.multipart import MultipartUpload
from exhaust.s3.object_info import ObjectInfo
from exhaust.s3.streamed_upload import upload_stream

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Mapping
    from datetime import timedelta

    from exhaust.settings import ObjectSettings

READ_CHUNK: Final = 1024 * 1024
READ_TIMEOUT_S: Final = 30.0
CALL_TIMEOUT_S: Final = 120.0
CONNECT_TIMEOUT_S: Final = 5.0
READ_CONNECTIONS: Final = 32
WRITE_CONNECTIONS: Final = 32
DATA_AT_ONCE: Final = 4  # parts of uploads on their way, each of 5 MiB or more
MAX_RESUMES: Final = 5

# The driver makes its client classes at run time.
Client = Any

log = structlog.get_logger(__name__)


class ObjectMissingError(Exception):
    """There is no object with this key."""


class ObjectExistsError(Exception):
    """An object with this key exists and was to stay."""


class UploadGoneError(ExhaustError):
    """Somebody else aborted the multipart upload; it may be begun again."""


class Objects:
    """The operations on objects. All raise ExhaustError SERVICE_UNAVAILABLE when S3 does not answer."""

    def __init__(self, reader: Client, writer: Client) -> None:
        self._reader = reader
        self._writer = writer
        self._room = asyncio.Semaphore(DATA_AT_ONCE)

    async def list(self, bucket: str, prefix: str) -> AsyncIterator[ObjectInfo]:
        """Every object whose key starts with `prefix`, in key order, however many pages that takes."""
        async for page in self._pages(bucket, prefix, delimiter=""):
            for entry in page.get("Contents", ()):
                yield ObjectInfo(entry["Key"], entry["ETag"].strip('"'), entry["Size"])

    async def folders(self, bucket: str, prefix: str) -> AsyncIterator[str]:
        """Names of the folders right below `prefix`, without slashes."""
        async for page in self._pages(bucket, prefix, delimiter="/"):
            for entry in page.get("CommonPrefixes", ()):
                yield entry["Prefix"][len(prefix) : -1]

    async def _pages(self, bucket: str, prefix: str, *, delimiter: str) -> AsyncIterator[dict[str, Any]]:
        token: dict[str, str] = {}
        while True:
            with _translated(bucket, prefix):
                page = await asyncio.wait_for(
                    self._reader.list_objects_v2(Bucket=bucket, Prefix=prefix, Delimiter=delimiter, **token),
                    CALL_TIMEOUT_S,
                )
            yield page
            if not page.get("IsTruncated"):
                return
            token = {"ContinuationToken": page["NextContinuationToken"]}

    async def get(self, bucket: str, key: str) -> bytes:
        """A small object, whole.

        Raises:
            ObjectMissingError: there is none.
        """
        with _translated(bucket, key):
            async with asyncio.timeout(CALL_TIMEOUT_S):
                answer = await self._reader.get_object(Bucket=bucket, Key=key)
                async with answer["Body"] as body:
                    data: bytes = await body.read()
        return data

    async def head(self, bucket: str, key: str) -> ObjectInfo:
        """An object's size and ETag.

        Raises:
            ObjectMissingError: there is none.
        """
        with _translated(bucket, key):
            answer = await asyncio.wait_for(self._reader.head_object(Bucket=bucket, Key=key), CALL_TIMEOUT_S)
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
            except (BotoCoreError, aiohttp.ClientError, OSError, TimeoutError) as error:
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
                await asyncio.sleep(0.1 * 2**resumes)
        if chunk:
            yield bytes(chunk)

    async def _read(self, bucket: str, source: ObjectInfo, start: int, stop: int) -> AsyncGenerator[bytes, None]:
        try:
            with _translated(bucket, source.key):
                answer = await asyncio.wait_for(
                    self._reader.get_object(
                        Bucket=bucket, Key=source.key, IfMatch=source.etag, Range=f"bytes={start}-{stop - 1}"
                    ),
                    CALL_TIMEOUT_S,
                )
        except (ObjectMissingError, ObjectExistsError) as error:
            raise SourceObjectError(
                ErrorCode.SOURCE_OBJECT_CHANGED, source.key, "was replaced or deleted while it was being read"
            ) from error
        async with answer["Body"] as body:
            while True:
                async with asyncio.timeout(READ_TIMEOUT_S):
                    chunk = await body.read(READ_CHUNK)
                if not chunk:
                    return
                yield chunk

    async def put(
        self, bucket: str, key: str, data: bytes, *, content_type: str = "application/octet-stream", keep: bool = False
    ) -> None:
        """Write a small object in one call.

        Raises:
            ObjectExistsError: `keep` is set and there is one already.
        """
        condition = {"IfNoneMatch": "*"} if keep else {}
        with _translated(bucket, key):
            await asyncio.wait_for(
                self._writer.put_object(Bucket=bucket, Key=key, Body=data, ContentType=content_type, **condition),
                CALL_TIMEOUT_S,
            )

    async def upload(
        self,
        bucket: str,
        key: str,
        chunks: AsyncGenerator[bytes, None],
        *,
        content_type: str,
        front: Callable[[], bytes] = bytes,
    ) -> None:
        """Write an object of any size from a stream; few parts are held in memory.

        Nothing is left behind when it fails or is cancelled.

        Args:
            bucket: where the object shall lie.
            key: its name.
            chunks: its bytes.
            content_type: its type.
            front: gives what stands before the chunks, when they have ended.
        """
        async with aclosing(chunks), self.multipart(bucket, key, content_type) as upload:
            small = await upload_stream(upload, chunks, front)
        if small is not None:
            async with self._room:
                await self.put(bucket, key, bytes(small), content_type=content_type)

    def multipart(self, bucket: str, key: str, content_type: str) -> MultipartUpload:
        """A multipart upload, to be entered."""
        return MultipartUpload(self._write, self._room, bucket, key, content_type)

    async def reap_uploads(self, bucket: str, *, begun_before: datetime) -> int:
        """Abort multipart uploads that were abandoned; how many there were.

        Their parts cost room and show in no listing. A process that is killed leaves its uploads behind.
        """
        reaped = 0
        marker: dict[str, str] = {}
        while True:
            page = await self._write("list_multipart_uploads", Bucket=bucket, **marker)
            for upload in page.get("Uploads", ()):
                if upload["Initiated"] < begun_before:
                    with contextlib.suppress(UploadGoneError):  # somebody else was faster
                        await self._write(
                            "abort_multipart_upload", Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"]
                        )
                    reaped += 1
            if not page.get("IsTruncated"):
                return reaped
            marker = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}

    async def _write(self, operation: str, /, **arguments: object) -> dict[str, Any]:
        with _translated(str(arguments.get("Bucket")), str(arguments.get("Key", ""))):
            call: Callable[..., Awaitable[dict[str, Any]]] = getattr(self._writer, operation)
            return await asyncio.wait_for(call(**arguments), CALL_TIMEOUT_S)

    async def signed_url(self, bucket: str, key: str, *, lifetime: timedelta, file_name: str) -> str:
        """An address that lets anybody read this one object for a while, offered as a file to save."""
        url: str = await self._reader.generate_presigned_url(
            "get_object",
            Params={
                "Bucket": bucket,
                "Key": key,
                "ResponseContentDisposition": f'attachment; filename="{file_name}"',
                "ResponseContentType": "application/zip",
            },
            ExpiresIn=int(lifetime.total_seconds()),
        )
        return url

    async def create_bucket(self, bucket: str) -> bool:
        """Create a bucket unless it exists; whether it was created now."""
        try:
            with _translated(bucket, ""):
                await asyncio.wait_for(self._writer.create_bucket(Bucket=bucket), CALL_TIMEOUT_S)
        except ObjectExistsError:
            return False
        return True

    async def expire(self, bucket: str, lifetimes: Mapping[str, timedelta]) -> None:
        """Have the store delete objects some time after they were written; replaces what the bucket had been told.

        Args:
            bucket: the bucket.
            lifetimes: whole days, by what keys begin with.
        """
        rules = [
            {"ID": prefix, "Status": "Enabled", "Filter": {"Prefix": prefix}, "Expiration": {"Days": lifetime.days}}
            for prefix, lifetime in lifetimes.items()
        ]
        await self._write("put_bucket_lifecycle_configuration", Bucket=bucket, LifecycleConfiguration={"Rules": rules})

    async def ping(self, bucket: str) -> None:
        """Raises ExhaustError when S3 does not answer for this bucket."""
        try:
            with _translated(bucket, ""):
                await asyncio.wait_for(self._reader.head_bucket(Bucket=bucket), CONNECT_TIMEOUT_S)
        except ObjectMissingError as error:
            raise unavailable(f"bucket {bucket}") from error


@contextmanager
def _translated(bucket: str, key: str) -> Iterator[None]:
    """Turns the driver's errors into ours."""
    try:
        yield
    except ClientError as error:
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        code = error.response["Error"]["Code"]
        if code == "NoSuchUpload":
            raise UploadGoneError(
                ErrorCode.SERVICE_UNAVAILABLE, f"the upload of {key} was aborted on the way"
            ) from error
        if status in {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}:
            raise ObjectMissingError(key) from error
        if status in {HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED}:
            raise ObjectExistsError(key) from error
        if status == HTTPStatus.FORBIDDEN:
            raise ExhaustError(
                ErrorCode.INTERNAL_ERROR, f"S3 refuses access to bucket {bucket} ({code}); check the credentials"
            ) from error
        raise unavailable("S3") from error
    except (BotoCoreError, aiohttp.ClientError, OSError, TimeoutError) as error:
        raise unavailable("S3") from error


@asynccontextmanager
async def open_objects(settings: ObjectSettings) -> AsyncIterator[Objects]:
    """Clients for the store; they connect when they are first used."""
    async with AsyncExitStack() as stack:
        reader = await stack.enter_async_context(_client(settings, READ_CONNECTIONS))
        writer = await stack.enter_async_context(_client(settings, WRITE_CONNECTIONS))
        yield Objects(reader, writer)


def _moment(written: object) -> datetime:
    """A time in an answer. The driver's own reading costs two thirds of a listing, and holds the loop up meanwhile."""
    try:
        return datetime.fromisoformat(str(written))
    except ValueError:
        found: datetime = parse_timestamp(written)  # in a header it is written otherwise
        return found


def _client(settings: ObjectSettings, connections: int) -> Client:
    session = get_session()
    session.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=_moment)
    return session.create_client(
        "s3",
        endpoint_url=settings.s3_endpoint,
        region_name=settings.s3_region,
        aws_access_key_id=settings.s3_access_key.get_secret_value(),
        aws_secret_access_key=settings.s3_secret_key.get_secret_value(),
        config=AioConfig(
            connect_timeout=CONNECT_TIMEOUT_S,
            read_timeout=READ_TIMEOUT_S,
            max_pool_connections=connections,
            retries={"mode": "standard", "max_attempts": 3},
            signature_version="s3v4",
            s3={"addressing_style": "path"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )
