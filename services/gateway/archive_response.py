"""The response with an archive: the whole, the range that a caller asks for, or 304 (RFC 9110, 13 and 14)."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from aiohttp import web

from exhaust.errors import ErrorCode, ExhaustError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from exhaust.s3.object_info import ObjectInfo
    from exhaust.s3.store import ObjectStore

ZIP: Final = "application/zip"
ANY_TAG: Final = "*"


@dataclass(frozen=True, slots=True)
class Download:
    """A finished archive to be sent.

    Attributes:
        info: the object that holds it.
        digest: the strong validator, equal for equal bytes of any request.
        file_name: the name under which browsers save it.
    """

    info: ObjectInfo
    digest: str
    file_name: str

    @property
    def etag(self) -> str:
        """The strong entity tag (ETag)."""
        return f'"{self.digest}"'


class UnsatisfiableRangeError(Exception):
    """The requested range begins behind the end of the archive."""


def requested_range(request: web.BaseRequest, download: Download) -> range | None:
    """Return the range of bytes that a caller asks for; None for the whole.

    The whole answers several ranges, a malformed one, and one whose If-Range names other bytes (RFC 9110, 14.2 and
    13.1.5).

    Raises:
        UnsatisfiableRangeError: the range begins behind the end.
    """
    asked = request.headers.get("Range")
    if asked is None or request.headers.get("If-Range", download.etag) != download.etag:
        return None
    try:
        wanted = request.http_range
    except ValueError:
        return None
    part = range(*wanted.indices(download.info.size))
    if not part or (wanted.start == 0 and "=-" in asked):  # aiohttp reads bytes=-0, the last 0 bytes, like bytes=0-
        raise UnsatisfiableRangeError
    return part


async def send_archive(
    request: web.Request, objects: ObjectStore, bucket: str, download: Download
) -> web.StreamResponse:
    """Send the archive, the requested range of it, or 304 to a caller who has it.

    Raises:
        ExhaustError: INVALID_DATA_ERROR with status 416 when the range begins behind the end.
    """
    headers = {
        "ETag": download.etag,
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-cache",
        "Content-Disposition": f'attachment; filename="{download.file_name}"',
    }
    if is_not_modified(request, download):
        return web.Response(status=304, headers=headers)
    size = download.info.size
    try:
        part = requested_range(request, download)
    except UnsatisfiableRangeError as error:
        raise ExhaustError(
            ErrorCode.INVALID_DATA_ERROR,
            f"the range lies behind the end of the archive, which has {size} bytes",
            status=416,
            headers={"Content-Range": f"bytes */{size}"},
        ) from error
    response = web.StreamResponse(status=200 if part is None else 206, headers=headers | {"Content-Type": ZIP})
    if part is not None:
        response.headers["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{size}"
    sent = part or range(size)
    response.content_length = len(sent)
    await response.prepare(request)
    if request.method != "HEAD":
        async with aclosing(objects.stream(bucket, download.info, start=sent.start, end=sent.stop)) as chunks:
            await _write(response, chunks)
    await response.write_eof()
    return response


async def _write(response: web.StreamResponse, chunks: AsyncIterator[bytes]) -> None:
    try:
        async for chunk in chunks:
            await response.write(chunk)
    except ExhaustError as error:
        # The headers are sent, so only a broken connection tells the caller that bytes are missing.
        raise ConnectionAbortedError(error.message) from error


def is_not_modified(request: web.BaseRequest, download: Download) -> bool:
    """Tell if the caller has these bytes, by weak comparison of If-None-Match (RFC 9110, 13.1.2)."""
    return any(tag.value in {ANY_TAG, download.digest} for tag in request.if_none_match or ())
