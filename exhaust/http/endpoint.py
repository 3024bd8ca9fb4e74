"""HTTP around the operations: bodies in, envelopes out, whatever happens."""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Generic, TypeVar
from uuid import uuid4

import structlog
from aiohttp import web
from prometheus_client import Counter, Histogram

from exhaust.errors import ErrorCode, ExhaustError, unavailable
from exhaust.http.envelope import (
    MAX_BODY_BYTES,
    body_too_large,
    decode_body,
    envelope_of,
    failure,
    message_id,
    parse_request,
    problem,
    success,
)
from exhaust.logs import bind_trace, traceparent_from
from schemas.bodies import Body
from schemas.operations import USER_HEADER, Operation

if TYPE_CHECKING:
    from aiohttp.typedefs import Middleware
    from multidict import CIMultiDictProxy
    from prometheus_client import CollectorRegistry
    from pydantic import SecretStr

HANDLER_TIMEOUT_S: Final = 45.0
BODY_TIMEOUT_S: Final = 10.0
RETRY_AFTER_S: Final = 5
UNKNOWN_OPERATION: Final = Operation("ekstep.data_exhaust", "1.0")
JSON: Final = "application/json"
PROBLEM_JSON: Final = "application/problem+json"
COME_BACK: Final = frozenset({ErrorCode.RATE_LIMITED, ErrorCode.SERVICE_UNAVAILABLE})  # told when
CALL_ID: Final = web.RequestKey("call_id", str)
# Those that decide who calls and what is asked. The parser refuses more: Host, Content-Type, Content-Length.
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
SECURITY_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}

BodyT = TypeVar("BodyT", bound=Body)
BodyT_co = TypeVar("BodyT_co", bound=Body, covariant=True)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """What an operation answers when it succeeds; None as result where the documents show none."""

    result: Mapping[str, object] | None = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Delivery:
    """An answer that is streamed, without the deadline of ordinary answers."""

    stream: Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Call(Generic[BodyT_co]):
    """One call of an operation.

    Attributes:
        body: the `request` part of its body, checked.
    """

    http: web.Request
    body: BodyT_co
    msgid: str
    traceparent: str

    def path(self, name: str) -> str:
        """A part of the path."""
        return self.http.match_info[name]

    def optional_path(self, name: str) -> str | None:
        """A part of the path that may be left out."""
        return self.http.match_info.get(name)


Handler = Callable[[Call[BodyT]], Awaitable[Answer | Delivery | web.Response]]


class HttpMetrics:
    """How many calls, how they ended, how long they took."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.calls = Counter(
            "exhaust_http_requests",
            "HTTP requests by operation and status.",
            ["operation", "status"],
            registry=registry,
        )
        self.seconds = Histogram(
            "exhaust_http_request_seconds", "Time to answer, by operation.", ["operation"], registry=registry
        )


def edge_app(*middlewares: Middleware) -> web.Application:
    """An application whose every answer is the envelope, with headers that browsers and proxies heed."""
    app = web.Application(middlewares=[envelope_errors, *middlewares], client_max_size=MAX_BODY_BYTES)
    app.on_response_prepare.append(_add_headers)
    return app


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    if call_id := request.get(CALL_ID):
        response.headers["X-Request-ID"] = call_id
    add_guards(response)


def add_guards(response: web.StreamResponse) -> None:
    """Add the headers that every answer has, where they are not set."""
    response.headers["Server"] = "telemetry-exhaust"  # not which libraries, in which versions
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)


def endpoint(
    operation: Operation, body: type[BodyT], handle: Handler[BodyT], metrics: HttpMetrics, *, needs_body: bool = True
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Make an aiohttp handler of an operation: it reads the body, and answers with the envelope in every case.

    Args:
        operation: what is called.
        body: the model of the part of the body that the operation reads.
        handle: answers one call.
        metrics: where calls are counted.
        needs_body: a call without a body is refused; otherwise it counts as one with an empty `request`.
    """
    return Endpoint(operation, body, handle, metrics, needs_body=needs_body).respond


class Endpoint(Generic[BodyT]):
    """An operation as aiohttp calls it; see `endpoint`."""

    def __init__(
        self, operation: Operation, body: type[BodyT], handle: Handler[BodyT], metrics: HttpMetrics, *, needs_body: bool
    ) -> None:
        self.operation = operation
        self.body = body
        self._envelope = envelope_of(body)
        self._handle = handle
        self._needs_body = needs_body
        self._calls = metrics.calls
        self._seconds = metrics.seconds.labels(operation.label)

    async def respond(self, request: web.Request) -> web.StreamResponse:
        """Answer one call, and count it."""
        started = time.monotonic()
        traceparent = traceparent_from(request.headers.get("traceparent"))
        request[CALL_ID] = call_id = str(uuid4())
        bind_trace(traceparent, call_id=call_id, operation=self.operation.label)
        response = await self._answer(request, traceparent)
        self._calls.labels(self.operation.label, response.status).inc()
        self._seconds.observe(time.monotonic() - started)
        return response

    async def _answer(self, request: web.Request, traceparent: str) -> web.StreamResponse:
        msgid = ""
        try:
            value = await read_body(request, needed=self._needs_body)
            msgid = message_id(value)
            check_headers(request.headers)
            call = Call(request, parse_request(value, self._envelope), msgid, traceparent)
            async with asyncio.timeout(HANDLER_TIMEOUT_S):
                answer = await self._handle(call)
            if isinstance(answer, Delivery):
                return await answer.stream(request)
        except ExhaustError as error:
            return error_response(request, self.operation, msgid, error)
        except TimeoutError:
            log.warning("http.timeout")
            return error_response(request, self.operation, msgid, unavailable("the service"))
        except ConnectionError:
            raise  # the caller went away, or must be cut off in the middle of a stream
        except Exception:
            log.exception("http.failed")
            return error_response(request, self.operation, msgid, internal_fault())
        if isinstance(answer, web.Response):
            return answer
        data = success(self.operation, msgid, answer.result)
        return web.Response(body=data, status=answer.status, headers=dict(answer.headers), content_type=JSON)


def internal_fault() -> ExhaustError:
    """The error for a defect of ours."""
    return ExhaustError(ErrorCode.INTERNAL_ERROR, "something went wrong here; try again, then tell the operators")


def error_response(request: web.BaseRequest, operation: Operation, msgid: str, error: ExhaustError) -> web.Response:
    """A failure with its status: the envelope, or problem details for a caller who accepts them by name."""
    return failure_response(operation, msgid, error, wants_problem=PROBLEM_JSON in request.headers.get("Accept", ""))


def failure_response(operation: Operation, msgid: str, error: ExhaustError, *, wants_problem: bool) -> web.Response:
    """A failure with its status, as the envelope or as problem details."""
    log.info("http.refused", code=error.code, status=error.status)
    headers = {"Retry-After": str(RETRY_AFTER_S)} if error.code in COME_BACK else {}
    headers |= error.headers
    return web.Response(
        body=problem(error) if wants_problem else failure(operation, msgid, error),
        status=error.status,
        headers=headers,
        content_type=PROBLEM_JSON if wants_problem else JSON,
    )


async def read_body(request: web.Request, *, needed: bool) -> object:
    """The JSON value of a caller's body; an empty object when there is none and none is needed.

    Raises:
        ExhaustError: INVALID_DATA_ERROR; with status 413 when it is too large, 415 when it is encoded or no JSON.
    """
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise ExhaustError(ErrorCode.INVALID_DATA_ERROR, "send the body without Content-Encoding", status=415)
    media_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if (request.content_length or 0) > MAX_BODY_BYTES:
        raise body_too_large()
    try:
        # Most bodies arrive with their header; then there is nothing to wait for.
        async with asyncio.timeout(None if request.content.is_eof() else BODY_TIMEOUT_S):
            body = await request.read()
    except web.HTTPRequestEntityTooLarge as error:
        raise body_too_large() from error
    except web.RequestPayloadError as error:
        raise ExhaustError(
            ErrorCode.INVALID_DATA_ERROR, "the body is not sent as its Transfer-Encoding or Content-Length says"
        ) from error
    except TimeoutError as error:
        raise ExhaustError(ErrorCode.INVALID_DATA_ERROR, "the body did not arrive in time", status=408) from error
    if not body and not needed:
        return {}
    return decode_body(body, media_type)


def check_headers(headers: CIMultiDictProxy[str]) -> None:
    """Refuse headers that somebody before us may have read otherwise, such as a proxy that takes the last of two.

    Raises:
        ExhaustError: INVALID_DATA_ERROR when one of SINGLE_HEADERS stands there more than once.
    """
    for name in SINGLE_HEADERS:
        if len(headers.getall(name, ())) > 1:
            raise repeated_header(name)


def repeated_header(name: str) -> ExhaustError:
    """The error for a header of that name that must not be repeated, and is."""
    return ExhaustError(ErrorCode.INVALID_DATA_ERROR, f"the header {name} must be sent once, not twice or more")


@web.middleware
async def envelope_errors(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Middleware: what aiohttp itself refuses (unknown path, wrong method) is answered with the envelope too."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        return http_exception_response(request, error)


def http_exception_response(request: web.BaseRequest, error: web.HTTPException) -> web.Response:
    """What aiohttp refuses by an exception of its own, in the envelope."""
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        refusal = ExhaustError(ErrorCode.METHOD_NOT_ALLOWED, f"use {allowed} here", headers={"Allow": allowed})
    elif isinstance(error, web.HTTPExpectationFailed):
        refusal = ExhaustError(
            ErrorCode.INVALID_DATA_ERROR, "the only Expect that is known is 100-continue", status=error.status
        )
    else:
        refusal = ExhaustError(
            ErrorCode.NOT_FOUND, "there is no such operation; see the API document", status=error.status
        )
    return error_response(request, UNKNOWN_OPERATION, "", refusal)


def service_token_check(token: SecretStr) -> Middleware:
    """Middleware: everything under /v1 and /v2 needs `Authorization: Bearer <service token>`."""
    expected = f"Bearer {token.get_secret_value()}".encode()

    @web.middleware
    async def check(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        given = request.headers.get("Authorization", "").encode(errors="surrogateescape")
        if request.path.startswith(("/v1/", "/v2/")) and not hmac.compare_digest(given, expected):
            error = ExhaustError(ErrorCode.LOGIN_FAILED, "internal operations need the service token as a bearer token")
            return error_response(request, UNKNOWN_OPERATION, "", error)
        return await handler(request)

    return check
