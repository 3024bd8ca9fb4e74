"""The protocol of one HTTP connection: its deadlines, and the envelope where aiohttp itself would answer plain text."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import re
import struct
import termios
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import structlog
from aiohttp import web
from aiohttp.http import RawRequestMessage
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong

from exhaust.errors import ErrorCode, ExhaustError
from exhaust.http.app import add_security_headers
from exhaust.http.connections import client_network
from exhaust.http.error_responses import (
    UNKNOWN_OPERATION,
    error_response,
    failure_response,
    http_exception_response,
    internal_error,
)
from exhaust.http.reading_speed import ReadingSpeed
from exhaust.http.request import repeated_header

if TYPE_CHECKING:
    from aiohttp.abc import AbstractStreamWriter
    from aiohttp.streams import StreamReader

    from exhaust.http.connections import ConnectionLimiter

RequestFactory = Callable[
    [RawRequestMessage, "StreamReader", web.RequestHandler, "AbstractStreamWriter", asyncio.Task[None]],
    web.BaseRequest,
]
MAX_LINE_BYTES: Final = 32 * 1024  # 20 tags of 64 characters, each up to 12 bytes in a percent-encoded path
MAX_FIELD_BYTES: Final = 16 * 1024  # a header: the longest token, and some
MAX_HEADERS: Final = 128
MAX_HEAD_BYTES: Final = 64 * 1024  # of incomplete headers; so much memory each connection may take
CLOSE_TIMEOUT: Final = timedelta(seconds=5)  # for a caller to read why the connection closes
SLOW_READER_DELAY: Final = timedelta(seconds=1)  # in which a caller who reads makes room for the next bytes
URI_TOO_LONG: Final = 414
FIELDS_TOO_LARGE: Final = 431
TIMEOUT: Final = 408
SERVER_ERROR: Final = 500
# What the parser says (aiohttp 3.14, _http_parser.pyx and llhttp); the names are from a list of its own.
_REPEATED: Final = re.compile("Duplicate '?([A-Za-z-]+)")
_TOO_MANY: Final = "Too many headers received"

log = structlog.get_logger(__name__)


class EdgeProtocol(web.RequestHandler):
    """A connection that always answers with the envelope, and that a slow caller cannot keep from others.

    Attributes:
        gone: set when the connection is closed.
    """

    def __init__(self, server: web.Server, limiter: ConnectionLimiter) -> None:
        """Prepare a connection that the limiter counts; needs a running loop."""
        silent = _silent_logger()
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            access_log=silent,  # names and addresses of callers do not belong in logs
            logger=silent,
            auto_decompress=False,  # encoded bodies are refused, so nobody inflates them
            keepalive_timeout=limiter.limits.keep_alive_timeout.total_seconds(),
            max_headers=MAX_HEADERS,
            max_line_size=MAX_LINE_BYTES,
            max_field_size=MAX_FIELD_BYTES,
        )
        self._limiter = limiter
        self._kept_transport: asyncio.Transport | None = None  # `transport` is None once it is to be closed
        self._body: StreamReader | None = None
        self._busy = False
        self._head_bytes = 0
        self._header_timer: asyncio.TimerHandle | None = None
        self._send_timer: asyncio.TimerHandle | None = None
        self._speed = ReadingSpeed(limiter.limits.read_window, limiter.limits.least_read_speed)
        self.gone = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count the connection, or refuse it when there are too many."""
        super().connection_made(transport)
        self._kept_transport = self.transport
        peer = transport.get_extra_info("peername") or ("",)
        try:
            self._limiter.add(self, client_network(peer[0]) or peer[0])
        except ExhaustError as error:
            self._refuse(error)
        else:
            self._start_header_timer()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Stop counting the connection, and tell who waits for its end."""
        self.gone.set()
        self._limiter.remove(self)
        self._stop(self._header_timer)
        self._stop(self._send_timer)
        super().connection_lost(exc)

    def evict(self) -> None:
        """Close; a caller who is sending headers gets a 503, and one who does not read loses the rest of the answer."""
        if self._head_bytes and self._unsent_bytes() == 0:
            self._refuse(ExhaustError(ErrorCode.SERVICE_UNAVAILABLE, "there were too many connections; try again"))
        elif self._kept_transport is not None:
            self._kept_transport.abort()

    def begin_request(self, body: StreamReader) -> None:
        """Mark the connection busy once a request's headers and body are complete; called when its headers are."""
        self._body = body
        self._busy = True
        self._head_bytes = 0
        self._stop(self._header_timer)
        self._header_timer = None
        self._limiter.mark_busy(self)
        if not body.is_eof():
            self._limiter.mark_idle(self)
            body.on_eof(self._mark_busy_again)

    def data_received(self, data: bytes) -> None:
        """Parse; when a body turns out malformed, also fail its reader, whom aiohttp would leave waiting."""
        super().data_received(data)
        if not self._messages:
            self._count_header_bytes(data)
        elif not isinstance(self._messages[-1][0], RawRequestMessage):
            for body in (self._body, *(body for _, body in self._messages)):
                if body is not None and not body.is_eof():
                    body.set_exception(web.RequestPayloadError("not as the headers say"))

    def pause_writing(self) -> None:
        """Start to watch a caller who reads more slowly than we write."""
        super().pause_writing()
        self._speed.start_waiting(self._loop.time(), self._unread_bytes())
        self._send_timer = self._loop.call_later(SLOW_READER_DELAY.total_seconds(), self._on_slow_reader)

    def resume_writing(self) -> None:
        """Stop watching a caller who has read."""
        super().resume_writing()
        self._stop(self._send_timer)
        self._mark_busy_again()
        self._cut_slow_reader()
        self._speed.stop_waiting()

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """Answer a request that aiohttp cannot parse, or that failed outside of every handler; then close.

        Raises:
            ConnectionError: the caller went away; or an answer has begun, and only a broken connection tells the
                caller that it is incomplete.
        """
        del message  # it quotes the request, which may hold a secret
        if request.writer.output_size > 0:
            raise ConnectionError("failed in the middle of an answer")
        if isinstance(exc, ConnectionError):
            log.info("http.abandoned")
            raise ConnectionError("the caller went away") from exc
        if status < SERVER_ERROR:
            error = _parse_error(exc)
        else:
            log.error("http.failed", exc_info=exc)
            error = internal_error()
        response = error_response(request, UNKNOWN_OPERATION, "", error)
        add_security_headers(response)
        response.force_close()
        return response

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send an answer, in the envelope also when aiohttp gave it before any middleware ran (an unknown Expect)."""
        if isinstance(resp, web.HTTPException):
            resp = http_exception_response(request, resp)
        sent = await super().finish_response(request, resp, start_time)
        self._busy = False
        self._limiter.mark_idle(self)
        return sent

    def _mark_busy_again(self) -> None:
        # The caller has sent the rest of a body, or has read.
        if self._busy:
            self._limiter.mark_busy(self)

    def _count_header_bytes(self, data: bytes) -> None:
        """Count bytes that completed no headers, unless they belong to the body of the present request."""
        if not data or self._busy or (self._body is not None and not self._body.is_eof()):
            return
        self._head_bytes += len(data)
        if self._head_bytes > MAX_HEAD_BYTES:
            self._limiter.count_closed("headers too large")
            self._refuse(_too_large(f"the headers of a request must be at most {MAX_HEAD_BYTES} bytes together"))
        elif self._header_timer is None:
            self._start_header_timer()

    def _start_header_timer(self) -> None:
        self._header_timer = self._loop.call_later(
            self._limiter.limits.header_timeout.total_seconds(), self._on_header_timeout
        )

    def _on_header_timeout(self) -> None:
        self._limiter.count_closed("headers too slow")
        if self._head_bytes:
            late = "the headers of the request did not arrive in time"
            self._refuse(ExhaustError(ErrorCode.INVALID_DATA_ERROR, late, status=TIMEOUT))
        else:
            self.force_close()

    def _unsent_bytes(self) -> int:
        return self._kept_transport.get_write_buffer_size() if self._kept_transport is not None else 0

    def _unread_bytes(self) -> int:
        """Return the bytes that the caller's system has not taken: ours, and the kernel's of this connection.

        The kernel asks for more only when much of its buffer is free, so our bytes alone would tell of a steady reader
        that nothing was read for minutes.
        """
        if self._kept_transport is None or self._kept_transport.is_closing():
            return 0
        connected = self._kept_transport.get_extra_info("socket")
        try:
            (queued,) = struct.unpack("i", fcntl.ioctl(connected.fileno(), termios.TIOCOUTQ, bytes(4)))
        except OSError:
            queued = 0
        return self._unsent_bytes() + int(queued)

    def _on_slow_reader(self) -> None:
        self._limiter.mark_idle(self)
        self._start_send_timer()

    def _start_send_timer(self) -> None:
        self._send_timer = self._loop.call_later(self._speed.seconds_left(), self._check_reader)

    def _check_reader(self) -> None:
        if not self._cut_slow_reader():
            self._start_send_timer()

    def _cut_slow_reader(self) -> bool:
        slow = self._speed.is_too_slow(self._loop.time(), self._unread_bytes())
        if slow and self._kept_transport is not None:
            self._limiter.count_closed("answer not read")
            self._kept_transport.abort()
        return slow

    def _refuse(self, error: ExhaustError) -> None:
        """Answer without a request, and close, even when the caller does not read the answer."""
        if self.transport is not None and self._kept_transport is not None:
            self.transport.write(_serialize(error))
            self.force_close()
            self._loop.call_later(CLOSE_TIMEOUT.total_seconds(), self._kept_transport.abort)

    @staticmethod
    def _stop(timer: asyncio.TimerHandle | None) -> None:
        if timer is not None:
            timer.cancel()


def notify_protocol(make: RequestFactory) -> RequestFactory:
    """Wrap the factory of requests, so that each connection learns of its next request."""

    def make_request(
        message: RawRequestMessage,
        payload: StreamReader,
        protocol: web.RequestHandler,
        writer: AbstractStreamWriter,
        task: asyncio.Task[None],
    ) -> web.BaseRequest:
        if isinstance(protocol, EdgeProtocol):
            protocol.begin_request(payload)
        return make(message, payload, protocol, writer, task)

    return make_request


def _silent_logger() -> logging.Logger:
    """Return a logger for aiohttp that logs nothing: its messages quote malformed requests, which may hold secrets."""
    logger = logging.getLogger("exhaust.http_server")
    logger.disabled = True
    return logger


def _serialize(error: ExhaustError) -> bytes:
    """Return a refusal as it goes over the wire."""
    response = failure_response(UNKNOWN_OPERATION, "", error, wants_problem=False)
    add_security_headers(response)
    body = response.body if isinstance(response.body, bytes) else b""
    response.headers.update({"Content-Length": str(len(body)), "Connection": "close"})
    lines = [f"HTTP/1.1 {response.status} {response.reason}"]
    lines += [f"{name}: {value}" for name, value in response.headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def _too_large(what: str) -> ExhaustError:
    return ExhaustError(ErrorCode.INVALID_DATA_ERROR, what, status=FIELDS_TOO_LARGE)


def _parse_error(error: BaseException | None) -> ExhaustError:
    """Describe in our words what the parser refused: its own words quote the request."""
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
