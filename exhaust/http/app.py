"""Applications at the edge: the envelope in every answer, headers that browsers and proxies heed, the service token."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Final

from aiohttp import web

from exhaust.errors import ErrorCode, ExhaustError
from exhaust.http.endpoint import CALL_ID
from exhaust.http.error_responses import UNKNOWN_OPERATION, error_response, http_exception_response
from exhaust.http.request import MAX_BODY_BYTES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiohttp.typedefs import Middleware
    from pydantic import SecretStr

SECURITY_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def edge_app(*middlewares: Middleware) -> web.Application:
    """An application whose every answer is the envelope, with headers that browsers and proxies heed."""
    app = web.Application(middlewares=[envelope_errors, *middlewares], client_max_size=MAX_BODY_BYTES)
    app.on_response_prepare.append(_add_headers)
    return app


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    if call_id := request.get(CALL_ID):
        response.headers["X-Request-ID"] = call_id
    add_security_headers(response)


def add_security_headers(response: web.StreamResponse) -> None:
    """Add the headers that every answer has, where they are not set."""
    response.headers["Server"] = "telemetry-exhaust"  # not which libraries, in which versions
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)


@web.middleware
async def envelope_errors(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Middleware: what aiohttp itself refuses (unknown path, wrong method) is answered with the envelope too."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        return http_exception_response(request, error)


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
