"""The one place that talks to the S3 driver: listing, reading, writing, signing.

Reading and writing have clients of their own, because waiting for a free connection of a shared pool has no time-out.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Self

import aiohttp
import structlog
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore.exceptions import BotoCoreError, ClientError

from exhaust.errors import ErrorCode, ExhaustError, SourceObjectError, unavailable
from exhaust.object_info import ObjectInfo

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
    from datetime import timedelta

    from exhaust.settings import ObjectSettings

READ_CHUNK: Final = 1024 * 1024
READ_TIMEOUT_S: Final = 30.0
CALL_TIMEOUT_S: Final = 120.0
CONNECT_TIMEOUT_S: Final = 5.0
READ_CONNECTIONS: Final = 32
WRITE_CONNECTIONS: Final = 32
# S3 takes parts of 5 MiB to 5 GiB, 10,000 at most. Later parts are larger, so that 440 GiB fit.
PART_SIZE: Final = 8 * 1024 * 1024
PARTS_BEFORE_GROWTH: Final = 1000
MAX_RESUMES: Final = 5

# The driver makes its client classes at run time.
Client = Any

log = structlog.get_logger(__name__)


class ObjectMissingError(Exception):
    """There is no object with this key."""


class ObjectExistsError(Exception):
    """An object with this key exists and was to stay."""


class Objects:
    """The operations on objects. All raise ExhaustError SERVICE_UNAVAILABLE when S3 does not answer."""

    def __init__(self, reader: Client, writer: Client) -> None:
        self._reader = reader
        self._writer = writer

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
        """The bytes of one object in chunks of at most READ_CHUNK; a cut stream is resumed where it stopped.

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
        while position < stop:
            cut: Exception | None = None
            before = position
            try:
                async with aclosing(self._read(bucket, source, position, stop)) as chunks:
                    async for chunk in chunks:
                        position += len(chunk)
                        yield chunk
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
            while chunk := await asyncio.wait_for(body.read(READ_CHUNK), READ_TIMEOUT_S):
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

    async def upload(self, bucket: str, key: str, chunks: AsyncGenerator[bytes, None], *, content_type: str) -> str:
        """Write an object of any size from a stream; at most one part is held in memory.

        Nothing is left behind when it fails or is cancelled.

        Returns:
            SHA-256 of the bytes, in hex.
        """
        digest = hashlib.sha256()
        buffer = bytearray()
        async with aclosing(chunks), _MultipartUpload(self._writer, bucket, key, content_type) as upload:
            async for chunk in chunks:
                digest.update(chunk)
                buffer += chunk
                while len(buffer) > (size := upload.part_size):
                    await upload.add(bytes(memoryview(buffer)[:size]))
                    del buffer[:size]
            if upload.begun:
                await upload.add(bytes(buffer))
                await upload.complete()
            else:
                await self.put(bucket, key, bytes(buffer), content_type=content_type)
        return digest.hexdigest()

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

    async def ping(self, bucket: str) -> None:
        """Raises ExhaustError when S3 does not answer for this bucket."""
        try:
            with _translated(bucket, ""):
                await asyncio.wait_for(self._reader.head_bucket(Bucket=bucket), CONNECT_TIMEOUT_S)
        except ObjectMissingError as error:
            raise unavailable(f"bucket {bucket}") from error


class _MultipartUpload:
    """A multipart upload that begins with its first part, and is aborted unless it was completed."""

    def __init__(self, client: Client, bucket: str, key: str, content_type: str) -> None:
        self._client = client
        self._target = {"Bucket": bucket, "Key": key}
        self._content_type = content_type
        self._upload: dict[str, str] = {}
        self._parts: list[dict[str, object]] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.begun:
            await asyncio.shield(self._abort())

    @property
    def begun(self) -> bool:
        return bool(self._upload)

    @property
    def part_size(self) -> int:
        return PART_SIZE * (1 + len(self._parts) // PARTS_BEFORE_GROWTH)

    async def add(self, data: bytes) -> None:
        if not self.begun:
            await self._begin()
        number = len(self._parts) + 1
        answer = await self._call(self._client.upload_part, PartNumber=number, Body=data)
        self._parts.append({"PartNumber": number, "ETag": answer["ETag"]})

    async def _begin(self) -> None:
        creating = asyncio.ensure_future(
            self._call(self._client.create_multipart_upload, ContentType=self._content_type)
        )
        try:
            self._upload = {"UploadId": (await asyncio.shield(creating))["UploadId"]}
        except asyncio.CancelledError:
            # The store begins the upload all the same; only with its id can it be aborted.
            with contextlib.suppress(ExhaustError, ObjectMissingError):
                self._upload = {"UploadId": (await creating)["UploadId"]}
            raise

    async def complete(self) -> None:
        await self._call(self._client.complete_multipart_upload, MultipartUpload={"Parts": self._parts})
        self._upload = {}

    async def _abort(self) -> None:
        try:
            await self._call(self._client.abort_multipart_upload)
        except (ExhaustError, ObjectMissingError) as error:
            log.warning("s3.abort_failed", key=self._target["Key"], error=str(error))

    async def _call(self, operation: Callable[..., Awaitable[dict[str, Any]]], **arguments: object) -> dict[str, Any]:
        with _translated(self._target["Bucket"], self._target["Key"]):
            return await asyncio.wait_for(operation(**self._target, **self._upload, **arguments), CALL_TIMEOUT_S)


@contextmanager
def _translated(bucket: str, key: str) -> Iterator[None]:
    """Turns the driver's errors into ours."""
    try:
        yield
    except ClientError as error:
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        code = error.response["Error"]["Code"]
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


def _client(settings: ObjectSettings, connections: int) -> Client:
    return get_session().create_client(
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
