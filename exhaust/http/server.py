"""One HTTP connection: its deadlines, and the envelope where aiohttp would answer by itself, in plain text."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import structlog
from aiohttp import web
from aiohttp.http import RawRequestMessage
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong

from exhaust.errors import ErrorCode, ExhaustError
from exhaust.http.app import add_guards
from exhaust.http.connections import subscriber
from exhaust.http.error_responses import (
    UNKNOWN_OPERATION,
    error_response,
    failure_response,
    http_exception_response,
    internal_fault,
)
from exhaust.http.request import repeated_header

if TYPE_CHECKING:
    from aiohttp.abc import AbstractStreamWriter
    from aiohttp.streams import StreamReader

    from exhaust.http.connections import Connections

RequestFactory = Callable[
    [RawRequestMessage, "StreamReader", web.RequestHandler, "AbstractStreamWriter", asyncio.Task[None]],
    web.BaseRequest,
]
MAX_LINE_BYTES: Final = 32 * 1024  # 20 tags of 64 characters, each up to 12 bytes in a percent-encoded path
MAX_FIELD_BYTES: Final = 16 * 1024  # a header: the longest token, and some
MAX_HEADERS: Final = 128
MAX_HEAD_BYTES: Final = 64 * 1024  # that arrive before the head is complete; so much memory each connection may take
FAREWELL: Final = timedelta(seconds=5)  # until a connection is gone whose caller does not even read why
SLOW_READER: Final = timedelta(seconds=1)  # in which a caller who reads at all makes room for the next bytes
READ_AT_LEAST: Final = 1024  # bytes of an answer, in each period of ConnectionLimits.standstill
URI_TOO_LONG: Final = 414
FIELDS_TOO_LARGE: Final = 431
TIMEOUT: Final = 408
SERVER_ERROR: Final = 500
# What the parser says (aiohttp 3.14, _http_parser.pyx and llhttp); the names are from a list of its own.
_REPEATED: Final = re.compile("Duplicate '?([A-Za-z-]+)")
_TOO_MANY: Final = "Too many headers received"

log = structlog.get_logger(__name__)


class EdgeProtocol(web.RequestHandler):
    """A connection whose every answer is the envelope, and which nobody holds by being slow."""

    def __init__(self, server: web.Server, connections: Connections) -> None:
        """Prepare a connection of a server, to be counted among others; needs a running loop."""
        quiet = _quiet_logger()
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            access_log=quiet,  # names and addresses of callers do not belong in logs
            logger=quiet,
            auto_decompress=False,  # encoded bodies are refused, so nobody inflates them
            keepalive_timeout=connections.limits.keep_alive.total_seconds(),
            max_headers=MAX_HEADERS,
            max_line_size=MAX_LINE_BYTES,
            max_field_size=MAX_FIELD_BYTES,
        )
        self._connections = connections
        self._line: asyncio.Transport | None = None  # `transport` is None as soon as it is to be closed, this one later
        self._body: StreamReader | None = None
        self._at_work = False
        self._head_bytes = 0
        self._head_timer: asyncio.TimerHandle | None = None
        self._answer_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, or refuse when there are too many connections."""
        super().connection_made(transport)
        self._line = self.transport
        peer = transport.get_extra_info("peername") or ("",)
        try:
            self._connections.enter(self, subscriber(peer[0]) or peer[0])
        except ExhaustError as error:
            self._turn_away(error)
        else:
            self._await_head()

    def connection_lost(self, exc: BaseException | None) -> None:
        """End."""
        self._connections.leave(self)
        self._stop(self._head_timer)
        self._stop(self._answer_timer)
        super().connection_lost(exc)

    def give_way(self) -> None:
        """Close; whoever was sending headers is told why. What a caller has not read by now is lost to him."""
        if self._head_bytes and self._unread() == 0:
            self._turn_away(ExhaustError(ErrorCode.SERVICE_UNAVAILABLE, "there were too many connections; try again"))
        elif self._line is not None:
            self._line.abort()

    def begin(self, body: StreamReader) -> None:
        """The head of a request is there; its body follows."""
        self._body = body
        self._at_work = True
        self._head_bytes = 0
        self._stop(self._head_timer)
        self._head_timer = None
        self._connections.works(self)
        if not body.is_eof():
            self._connections.waits(self)
            body.on_eof(self._goes_on)

    def data_received(self, data: bytes) -> None:
        """Parse; and when that fails in the middle of a body, tell whoever reads it, which aiohttp leaves waiting."""
        super().data_received(data)
        if not self._messages:
            self._count(data)
        elif not isinstance(self._messages[-1][0], RawRequestMessage):
            for body in (self._body, *(body for _, body in self._messages)):
                if body is not None and not body.is_eof():
                    body.set_exception(web.RequestPayloadError("not as the headers say"))

    def pause_writing(self) -> None:
        """The caller reads more slowly than we write, or not at all."""
        super().pause_writing()
        self._answer_timer = self._loop.call_later(SLOW_READER.total_seconds(), self._reads_slowly)

    def resume_writing(self) -> None:
        """The caller has read."""
        super().resume_writing()
        self._stop(self._answer_timer)
        self._goes_on()

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
        sent = await super().finish_response(request, resp, start_time)
        self._at_work = False
        self._connections.waits(self)
        return sent

    def _goes_on(self) -> None:
        """The caller has sent the rest of a body, or read."""
        if self._at_work:
            self._connections.works(self)

    def _count(self, data: bytes) -> None:
        """Look at bytes that completed no head: of a head, unless they belong to the body of the present request."""
        if not data or self._at_work or (self._body is not None and not self._body.is_eof()):
            return
        self._head_bytes += len(data)
        if self._head_bytes > MAX_HEAD_BYTES:
            self._connections.cut("headers too large")
            self._turn_away(_too_large(f"the headers of a request must be at most {MAX_HEAD_BYTES} bytes together"))
        elif self._head_timer is None:
            self._await_head()

    def _await_head(self) -> None:
        self._head_timer = self._loop.call_later(self._connections.limits.head.total_seconds(), self._head_is_late)

    def _head_is_late(self) -> None:
        self._connections.cut("headers too slow")
        if self._head_bytes:
            late = "the headers of the request did not arrive in time"
            self._turn_away(ExhaustError(ErrorCode.INVALID_DATA_ERROR, late, status=TIMEOUT))
        else:
            self.force_close()

    def _unread(self) -> int:
        return self._line.get_write_buffer_size() if self._line is not None else 0

    def _reads_slowly(self) -> None:
        self._connections.waits(self)
        self._await_reader()

    def _await_reader(self) -> None:
        period = self._connections.limits.standstill.total_seconds()
        self._answer_timer = self._loop.call_later(period, self._has_read, self._unread())

    def _has_read(self, unread: int) -> None:
        if unread - self._unread() >= READ_AT_LEAST:
            self._await_reader()
        elif self._line is not None:
            self._connections.cut("answer not read")
            self._line.abort()

    def _turn_away(self, error: ExhaustError) -> None:
        """Answer where there is no request, and close, even when the answer is not read."""
        if self.transport is not None and self._line is not None:
            self.transport.write(_written(error))
            self.force_close()
            self._loop.call_later(FAREWELL.total_seconds(), self._line.abort)

    @staticmethod
    def _stop(timer: asyncio.TimerHandle | None) -> None:
        if timer is not None:
            timer.cancel()


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


def _quiet_logger() -> logging.Logger:
    """For aiohttp: what it would log of a malformed request quotes the request, which may hold a secret."""
    logger = logging.getLogger("exhaust.http_server")
    logger.disabled = True
    return logger


def _written(error: ExhaustError) -> bytes:
    """A refusal as it goes over the wire."""
    response = failure_response(UNKNOWN_OPERATION, "", error, wants_problem=False)
    add_guards(response)
    body = response.body if isinstance(response.body, bytes) else b""
    response.headers.update({"Content-Length": str(len(body)), "Connection": "close"})
    lines = [f"HTTP/1.1 {response.status} {response.reason}"]
    lines += [f"{name}: {value}" for name, value in response.headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def _too_large(what: str) -> ExhaustError:
    return ExhaustError(ErrorCode.INVALID_DATA_ERROR, what, status=FIELDS_TOO_LARGE)


def _malformed(error: BaseException | None) -> ExhaustError:
    """What the parser refuses, in words of ours: its own quote the request."""
    reason = error.message if isinstance(error, HttpProcessingError) else ""
    if repeated := _REPEATED.match(reason):
        return repeated_header(repeated[1])
    if reason == _TOO_MANY:
        return _too_large(f"a request must have at most {MAX_HEADERS} headers")
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
    return _too_large(f"a header must be at most {MAX_FIELD_BYTES} bytes")
