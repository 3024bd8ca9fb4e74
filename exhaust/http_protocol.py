"""One HTTP connection: where aiohttp would answer by itself, in plain text, it answers with the envelope here."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import structlog
from aiohttp import web
from aiohttp.http import RawRequestMessage
from aiohttp.http_exceptions import LineTooLong

from exhaust.errors import ErrorCode, ExhaustError
from exhaust.http_edge import UNKNOWN_OPERATION, add_guards, error_response, http_exception_response, internal_fault

if TYPE_CHECKING:
    import asyncio

    from aiohttp.abc import AbstractStreamWriter
    from aiohttp.streams import StreamReader

RequestFactory = Callable[
    [RawRequestMessage, "StreamReader", web.RequestHandler, "AbstractStreamWriter", "asyncio.Task[None]"],
    web.BaseRequest,
]
MAX_LINE_BYTES: Final = 32 * 1024  # 20 tags of 64 characters, each up to 12 bytes in a percent-encoded path
MAX_FIELD_BYTES: Final = 16 * 1024  # a header: the longest token, and some
URI_TOO_LONG: Final = 414
FIELDS_TOO_LARGE: Final = 431
SERVER_ERROR: Final = 500

log = structlog.get_logger(__name__)


class EdgeProtocol(web.RequestHandler):
    """A connection whose every answer is the envelope."""

    _body: StreamReader | None = None

    def begin(self, body: StreamReader) -> None:
        """The head of a request is there; its body follows."""
        self._body = body

    def data_received(self, data: bytes) -> None:
        """Parse; and when that fails in the middle of a body, tell whoever reads it, which aiohttp leaves waiting."""
        super().data_received(data)
        if self._messages and not isinstance(self._messages[-1][0], RawRequestMessage):
            for body in (self._body, *(body for _, body in self._messages)):
                if body is not None and not body.is_eof():
                    body.set_exception(web.RequestPayloadError("not as the headers say"))

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """Answer what aiohttp cannot parse, and what failed outside of every handler; then close.

        Raises:
            ConnectionError: an answer has begun, so only a broken connection tells the caller that it is not whole.
        """
        del message  # it quotes the request, which may hold a secret
        if request.writer.output_size > 0:
            raise ConnectionError("failed in the middle of an answer")
        if status < SERVER_ERROR:
            error = _malformed(exc)
        else:
            log.error("http.failed", exc_info=exc)
            error = internal_fault()
        response = error_response(request, UNKNOWN_OPERATION, "", error)
        add_guards(response)
        response.force_close()
        return response

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send an answer; also one that aiohttp gave before any middleware ran (an Expect that nobody knows)."""
        if isinstance(resp, web.HTTPException):
            resp = http_exception_response(request, resp)
        return await super().finish_response(request, resp, start_time)


def announcing(make: RequestFactory) -> RequestFactory:
    """Make requests as aiohttp's server does, and tell their connection."""

    def make_request(
        message: RawRequestMessage,
        payload: StreamReader,
        protocol: web.RequestHandler,
        writer: AbstractStreamWriter,
        task: asyncio.Task[None],
    ) -> web.BaseRequest:
        if isinstance(protocol, EdgeProtocol):
            protocol.begin(payload)
        return make(message, payload, protocol, writer, task)

    return make_request


def _malformed(error: BaseException | None) -> ExhaustError:
    if not isinstance(error, LineTooLong):
        return ExhaustError(
            ErrorCode.INVALID_DATA_ERROR,
            "this is no HTTP/1.1 request; check its first line, its headers, and how long it says that its body is",
        )
    if MAX_LINE_BYTES in error.args:
        return ExhaustError(
            ErrorCode.INVALID_DATA_ERROR,
            f"the first line of a request must be at most {MAX_LINE_BYTES} bytes",
            status=URI_TOO_LONG,
        )
    return ExhaustError(
        ErrorCode.INVALID_DATA_ERROR, f"a header must be at most {MAX_FIELD_BYTES} bytes", status=FIELDS_TOO_LARGE
    )
