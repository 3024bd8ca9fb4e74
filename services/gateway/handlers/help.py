"""GET /help: every error code with what it means, why it happens and what to do, as a page and as JSON."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

import orjson
from aiohttp import web
from jinja2 import Environment, StrictUndefined

from exhaust.errors import HELP_PATH, HTTP_STATUS, RETRYABLE, ExhaustError
from exhaust.http.accept import prefers_json
from exhaust.http.error_responses import JSON, error_response
from exhaust.http.query import check_query
from schemas.operations import Operation
from services.gateway.error_help import ERROR_HELP, TOPICS

if TYPE_CHECKING:
    from exhaust.errors import ErrorCode

_OPERATION: Final = Operation("ekstep.data_exhaust_help", "2.0")
_HEADERS: Final = {"Cache-Control": "no-cache", "Vary": "Accept"}
_CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def help_routes() -> list[web.RouteDef]:
    """Build the routes of the page and its style."""
    files = resources.files(__package__) / "help_page"
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    document = help_document()
    page = environment.from_string((files / "index.html").read_text("utf-8")).render(document)
    return [
        web.get(HELP_PATH, partial(_answer, page, orjson.dumps(document))),
        web.get("/docs/help.css", partial(_style, (files / "page.css").read_text("utf-8"))),
    ]


def help_document() -> dict[str, Any]:
    """Return what the page shows, as JSON has it."""
    return {
        "codes": [
            {"code": code.value, "httpstatus": _status(code), "retryable": code in RETRYABLE, **asdict(said)}
            for code, said in ERROR_HELP.items()
        ],
        "topics": [{"topic": anchor, "title": title, **asdict(said)} for anchor, (title, said) in TOPICS.items()],
    }


def _status(code: ErrorCode) -> int | None:
    """Return the usual HTTP status; None of a code that only a failed request has."""
    return 500 if code == "INTERNAL_ERROR" else HTTP_STATUS.get(code)


async def _answer(page: str, document: bytes, request: web.Request) -> web.Response:
    try:
        check_query(request.query, _OPERATION)
    except ExhaustError as error:
        return error_response(request, _OPERATION, "", error)
    if prefers_json(request):
        return web.Response(body=document, content_type=JSON, headers=_HEADERS)
    headers = _HEADERS | {"Content-Security-Policy": _CONTENT_SECURITY_POLICY}
    return web.Response(text=page, content_type="text/html", headers=headers)


async def _style(style: str, _request: web.Request) -> web.Response:
    return web.Response(text=style, content_type="text/css", headers={"Cache-Control": "no-cache"})
