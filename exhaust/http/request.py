"""The reading of a request: its body within limits of time and size, and headers that must not be repeated."""

from __future__ import annotations

import asyncio
from codecs import BOM_UTF8
from datetime import timedelta
from json import JSONDecodeError
from typing import TYPE_CHECKING, Final

from aiohttp import web

from exhaust.errors import ErrorCode, ExhaustError
from exhaust.http.strict_json import RepeatedNameError, strict_json
from schemas.operations import USER_HEADER

if TYPE_CHECKING:
    from multidict import CIMultiDictProxy

MAX_BODY_BYTES: Final = 64 * 1024
JSON_TYPES: Final = frozenset({"application/json", ""})  # "" is a caller who names no type
BODY_TIMEOUT: Final = timedelta(seconds=10)
# They decide who calls and what is asked. aiohttp's parser refuses more: Host, Content-Type, Content-Length.
SINGLE_HEADERS: Final = (
    "Authorization",
    "X-API-Key",
    "X-Channel-ID",
    "Idempotency-Key",
    "Content-Encoding",
    "Range",
    "If-Range",
    USER_HEADER,
)


async def read_body(request: web.Request, *, needed: bool) -> object:
    """Read the JSON value of a body; without a body, where none is needed, it is an empty object.

    Raises:
        ExhaustError: INVALID_DATA_ERROR; with status 413 when it is too large, 415 when it is encoded or no JSON.
    """
    body = await read_bytes(request)
    if not body and not needed:
        return {}
    return decode_body(body, media_type(request))


def media_type(request: web.Request) -> str:
    """Return the media type of a body without parameters, in lower case; empty when none was sent."""
    return request.headers.get("Content-Type", "").partition(";")[0].strip().lower()


async def read_bytes(request: web.Request) -> bytes:
    """Read a body, of any type.

    Raises:
        ExhaustError: INVALID_DATA_ERROR; with status 413 when it is too large, 415 when it is encoded.
    """
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise ExhaustError(ErrorCode.INVALID_DATA_ERROR, "send the body without Content-Encoding", status=415)
    if (request.content_length or 0) > MAX_BODY_BYTES:
        raise body_too_large()
    try:
        # Most bodies arrive with their header; then there is nothing to wait for.
        async with asyncio.timeout(None if request.content.is_eof() else BODY_TIMEOUT.total_seconds()):
            return await request.read()
    except web.HTTPRequestEntityTooLarge as error:
        raise body_too_large() from error
    except web.RequestPayloadError as error:
        raise ExhaustError(
            ErrorCode.INVALID_DATA_ERROR, "the body is not sent as its Transfer-Encoding or Content-Length says"
        ) from error
    except TimeoutError as error:
        raise ExhaustError(ErrorCode.INVALID_DATA_ERROR, "the body did not arrive in time", status=408) from error


def decode_body(body: bytes, content_type: str) -> object:
    """Decode the JSON value of a body.

    Args:
        body: the bytes as received, at most MAX_BODY_BYTES of them.
        content_type: the media type without parameters, in lower case; empty when none was sent.

    Raises:
        ExhaustError: INVALID_DATA_ERROR, with status 415 for another media type; it names members that stand twice.
    """
    if content_type not in JSON_TYPES:
        raise ExhaustError(ErrorCode.INVALID_DATA_ERROR, "Content-Type must be application/json", status=415)
    try:
        return strict_json(body.removeprefix(BOM_UTF8))  # a parser may ignore it (RFC 8259, 8.1)
    except RepeatedNameError as error:
        detail = "stands twice in its object"
        raise ExhaustError(
            ErrorCode.INVALID_DATA_ERROR,
            "; ".join(f"{pointer.removeprefix('/')}: {detail}" for pointer in error.pointers),
            violations=[(pointer, detail) for pointer in error.pointers],
        ) from error
    except JSONDecodeError as error:
        raise ExhaustError(
            ErrorCode.INVALID_DATA_ERROR, f"the body is not JSON (line {error.lineno}, column {error.colno})"
        ) from error


def body_too_large() -> ExhaustError:
    """Build the error for a body over the limit."""
    return ExhaustError(ErrorCode.INVALID_DATA_ERROR, f"the body must be at most {MAX_BODY_BYTES} bytes", status=413)


def refuse_repeated_headers(headers: CIMultiDictProxy[str]) -> None:
    """Refuse repeated headers, of which a proxy before us may have read another one than we do.

    Raises:
        ExhaustError: INVALID_DATA_ERROR when one of SINGLE_HEADERS is repeated.
    """
    for name in SINGLE_HEADERS:
        if len(headers.getall(name, ())) > 1:
            raise repeated_header(name)


def repeated_header(name: str) -> ExhaustError:
    """Build the error for a header that must not be repeated."""
    return ExhaustError(ErrorCode.INVALID_DATA_ERROR, f"the header {name} must be sent once, not twice or more")
