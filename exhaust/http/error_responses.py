"""HTTP responses for errors: the envelope, or problem details for callers who accept them."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import structlog
from aiohttp import web

from exhaust.errors import ErrorCode, ExhaustError
from exhaust.http.envelope import failure, problem
from exhaust.logs import REFUSED
from schemas.operations import Operation

RETRY_AFTER: Final = timedelta(seconds=5)
UNKNOWN_OPERATION: Final = Operation("ekstep.data_exhaust", "1.0")
JSON: Final = "application/json"
PROBLEM_JSON: Final = "application/problem+json"
CODES_WITH_RETRY_AFTER: Final = frozenset(
    {ErrorCode.RATE_LIMITED, ErrorCode.SERVICE_UNAVAILABLE, ErrorCode.NOT_COMPLETE}
)

log = structlog.get_logger(__name__)


def internal_error() -> ExhaustError:
    """Build the error for a defect of ours."""
    return ExhaustError(ErrorCode.INTERNAL_ERROR, "something went wrong here; try again, then tell the operators")


def error_response(request: web.BaseRequest, operation: Operation, msgid: str, error: ExhaustError) -> web.Response:
    """Answer a call with an error, as problem details when its Accept header names them, else as the envelope."""
    return failure_response(operation, msgid, error, wants_problem=PROBLEM_JSON in request.headers.get("Accept", ""))


def failure_response(operation: Operation, msgid: str, error: ExhaustError, *, wants_problem: bool) -> web.Response:
    """Build the response for an error, as problem details or as the envelope."""
    log.info(REFUSED, code=error.code, status=error.status)
    return web.Response(
        body=problem(error) if wants_problem else failure(operation, msgid, error),
        status=error.status,
        headers=error_headers(error),
        content_type=PROBLEM_JSON if wants_problem else JSON,
    )


def error_headers(error: ExhaustError) -> dict[str, str]:
    """Return the headers of the response for an error, whatever its body is."""
    retry = {"Retry-After": str(RETRY_AFTER.seconds)} if error.code in CODES_WITH_RETRY_AFTER else {}
    return retry | dict(error.headers)


def http_exception_response(request: web.BaseRequest, error: web.HTTPException) -> web.Response:
    """Answer with the envelope where aiohttp refused a call by an exception of its own."""
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
