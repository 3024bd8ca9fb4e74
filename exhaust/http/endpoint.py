"""Endpoints: aiohttp handlers that read a body, call an operation's handler, and answer with the envelope."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Generic, TypeVar

import structlog
from aiohttp import web

from exhaust.errors import ExhaustError, unavailable
from exhaust.http.envelope import envelope_of, message_id, parse_request, success
from exhaust.http.error_responses import JSON, error_response, internal_error
from exhaust.http.query import check_query
from exhaust.http.request import read_body, refuse_repeated_headers
from exhaust.logs import bind_trace, traceparent_from
from exhaust.metrics.catalogue import HTTP_REQUESTS, HTTP_SECONDS, OTHER_OPERATIONS, STATUSES, TIMED_OPERATIONS
from schemas.bodies import Body

if TYPE_CHECKING:
    from prometheus_client import Counter, Histogram

    from exhaust.metrics.registry import MetricRegistry
    from schemas.operations import Operation

HANDLER_TIMEOUT: Final = timedelta(seconds=45)
CALL_ID: Final = web.RequestKey("call_id", str)
BodyT = TypeVar("BodyT", bound=Body)
BodyT_co = TypeVar("BodyT_co", bound=Body, covariant=True)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer of an operation that succeeds; its result is None where the documents show none."""

    result: Mapping[str, object] | None = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StreamedAnswer:
    """An answer that streams its body, without the deadline of other answers."""

    stream: Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Call(Generic[BodyT_co]):
    """One call of an operation.

    Attributes:
        body: the `request` part of its body, checked.
        parts: of its path, where a page of this process makes the call; None takes those of the HTTP request.
    """

    http: web.Request
    body: BodyT_co
    msgid: str
    traceparent: str
    parts: Mapping[str, str] | None = None

    def path(self, name: str) -> str:
        """Return a part of the path."""
        return (self.http.match_info if self.parts is None else self.parts)[name]

    def optional_path(self, name: str) -> str | None:
        """Return a part of the path, or None when the caller left it out."""
        return (self.http.match_info if self.parts is None else self.parts).get(name)


Handler = Callable[[Call[BodyT]], Awaitable[Answer | StreamedAnswer | web.Response]]


class HttpMetrics:
    """The metrics of HTTP calls: their number, their statuses and their durations."""

    def __init__(self, registry: MetricRegistry) -> None:
        self._calls = registry.counter(HTTP_REQUESTS)
        self._seconds = registry.histogram(HTTP_SECONDS)

    def of(self, operation: Operation) -> OperationMetrics:
        """Return the metrics of one operation, with its usual statuses from the start."""
        return OperationMetrics(operation, self._calls, self._seconds)


class OperationMetrics:
    """The metrics of the calls of one operation."""

    def __init__(self, operation: Operation, calls: Counter, seconds: Histogram) -> None:
        self._name = name = (operation.label, operation.version)
        self._seconds = seconds.labels(*(name if name in TIMED_OPERATIONS else OTHER_OPERATIONS))
        self._calls = calls
        self._of_status = {int(status): calls.labels(*name, status) for status in STATUSES}

    def count(self, status: int, seconds: float) -> None:
        """Count one call."""
        counter = self._of_status.get(status)
        if counter is None:  # looking a series up costs more than all else here
            counter = self._of_status[status] = self._calls.labels(*self._name, status)
        counter.inc()
        self._seconds.observe(seconds)


def endpoint(
    operation: Operation, body: type[BodyT], handle: Handler[BodyT], metrics: HttpMetrics, *, needs_body: bool = True
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Build the aiohttp handler of an operation; it answers with the envelope in every case.

    Args:
        operation: what is called.
        body: the model of the `request` part of the body.
        handle: answers one call.
        metrics: counts the calls.
        needs_body: refuses a call without a body; otherwise it counts as one with an empty `request`.
    """
    return Endpoint(operation, body, handle, metrics, needs_body=needs_body).respond


class Endpoint(Generic[BodyT]):
    """The aiohttp handler of one operation; see `endpoint`."""

    def __init__(
        self, operation: Operation, body: type[BodyT], handle: Handler[BodyT], metrics: HttpMetrics, *, needs_body: bool
    ) -> None:
        self.operation = operation
        self.body = body
        self._envelope = envelope_of(body)
        self._handle = handle
        self._needs_body = needs_body
        self._metrics = metrics.of(operation)

    async def respond(self, request: web.Request) -> web.StreamResponse:
        """Answer one call, and count it."""
        started = time.monotonic()
        traceparent = traceparent_from(request.headers.get("traceparent"))
        request[CALL_ID] = call_id = _new_call_id()
        bind_trace(traceparent, call_id=call_id, operation=self.operation.label, api=self.operation.version)
        response = await self._answer(request, traceparent)
        self._metrics.count(response.status, time.monotonic() - started)
        return response

    async def answer_page(
        self, http: web.Request, request: Mapping[str, object], parts: Mapping[str, str]
    ) -> Answer | StreamedAnswer | web.Response:
        """Answer a call that a page of this process makes, as one by HTTP, but raise errors.

        Args:
            http: a request with the headers and the query of the call.
            request: the `request` part of the body.
            parts: of the path.

        Raises:
            ExhaustError: as the operation answers it.
        """
        check_query(http.query, self.operation)
        body = parse_request({"request": dict(request)}, self._envelope)
        async with asyncio.timeout(HANDLER_TIMEOUT.total_seconds()):
            return await self._handle(Call(http, body, "", traceparent_from(None), parts))

    async def _answer(self, request: web.Request, traceparent: str) -> web.StreamResponse:
        msgid = ""
        try:
            value = await read_body(request, needed=self._needs_body)
            msgid = message_id(value)
            refuse_repeated_headers(request.headers)
            if request.rel_url.raw_query_string:
                check_query(request.query, self.operation)
            call = Call(request, parse_request(value, self._envelope), msgid, traceparent)
            async with asyncio.timeout(HANDLER_TIMEOUT.total_seconds()):
                answer = await self._handle(call)
            if isinstance(answer, StreamedAnswer):
                return await answer.stream(request)
        except ExhaustError as error:
            return error_response(request, self.operation, msgid, error)
        except TimeoutError:
            log.warning("http.timeout")
            return error_response(request, self.operation, msgid, unavailable("the service"))
        except ConnectionError:
            raise  # the caller went away, or must see that a stream broke off
        except Exception:
            log.exception("http.failed")
            return error_response(request, self.operation, msgid, internal_error())
        if isinstance(answer, web.Response):
            return answer
        data = success(self.operation, msgid, answer.result)
        return web.Response(body=data, status=answer.status, headers=dict(answer.headers), content_type=JSON)


def _new_call_id() -> str:
    """Return a random UUID (version 4) as text; made as an object first, it takes twice as long."""
    drawn = secrets.token_hex(16)
    return f"{drawn[:8]}-{drawn[8:12]}-4{drawn[13:16]}-8{drawn[17:20]}-{drawn[20:]}"
