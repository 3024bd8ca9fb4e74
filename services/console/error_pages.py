"""The console's answers to what goes wrong: a page for a browser, problem details (RFC 9457) for everybody else."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import structlog
from aiohttp import web

from exhaust.errors import ErrorCode, ExhaustError
from exhaust.http.accept import prefers_html
from exhaust.http.envelope import problem
from exhaust.http.error_responses import PROBLEM_JSON, error_headers, internal_error
from services.console.pages import html_response

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiohttp.typedefs import Middleware

    from services.console.frame import Frame

_CODES: Final = {
    403: ErrorCode.AUTHORIZATION_FAILED,
    404: ErrorCode.NOT_FOUND,
    405: ErrorCode.METHOD_NOT_ALLOWED,
    503: ErrorCode.SERVICE_UNAVAILABLE,
}
_SENTENCES: Final = {
    403: "you may not do this here; ask whoever gives roles",
    404: "there is no such page",
    405: "this address does not take such a call",
    503: "this does not answer now; try again in a few seconds",
}

log = structlog.get_logger(__name__)


def error_pages(frame: Frame) -> Middleware:
    """Build the middleware that answers for whatever is raised."""

    @web.middleware
    async def answer_errors(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        try:
            return await handler(request)
        except ExhaustError as error:
            return _response(request, frame, error)
        except web.HTTPException as error:
            if error.status < HTTPStatus.BAD_REQUEST:
                raise
            return _response(request, frame, _refusal(error))
        except Exception:
            log.exception("http.failed")
            return _response(request, frame, internal_error())

    return answer_errors


def _refusal(error: web.HTTPException) -> ExhaustError:
    code = _CODES.get(error.status, ErrorCode.INVALID_DATA_ERROR)
    allowed = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
    return ExhaustError(code, _SENTENCES.get(error.status, error.reason), status=error.status, headers=allowed)


def _response(request: web.Request, frame: Frame, error: ExhaustError) -> web.Response:
    if prefers_html(request):
        title = HTTPStatus(error.status).phrase
        text = frame.render(request, "error.html", title=title, status=error.status, error=error)
        response = html_response(text, error.status)
    else:
        response = web.Response(body=problem(error, with_help=False), status=error.status, content_type=PROBLEM_JSON)
    response.headers.update(error_headers(error))
    return response
