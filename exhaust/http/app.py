"""aiohttp applications of the edge: errors in the envelope, security headers, and the check of the service token."""

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
    """Build an application that answers errors of aiohttp with the envelope and adds the security headers."""
    app = web.Application(middlewares=[envelope_errors, *middlewares], client_max_size=MAX_BODY_BYTES)
    app.on_response_prepare.append(_add_headers)
    return app


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    if call_id := request.get(CALL_ID):
        response.headers["X-Request-ID"] = call_id
    add_security_headers(response)


def add_security_headers(response: web.StreamResponse) -> None:
    """Set the headers of every answer, as far as the answer does not set them itself."""
    response.headers["Server"] = "telemetry-exhaust"  # in place of the names and versions of our libraries
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)


@web.middleware
async def envelope_errors(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Answer with the envelope where aiohttp itself refuses a call: an unknown path, a wrong method."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        return http_exception_response(request, error)


def service_token_check(token: SecretStr) -> Middleware:
    """Build a middleware that lets calls of /v1 and /v2 pass with `Authorization: Bearer <service token>` alone."""
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
