"""CORS (Fetch standard): pages of the allowed origins may call us from a browser; by default no origin is allowed."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Final
from urllib.parse import urlsplit

from aiohttp import web
from pydantic import AfterValidator

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection

PREFLIGHT_MAX_AGE: Final = timedelta(minutes=10)
_ALLOWED_HEADERS: Final = ", ".join(
    (
        *("Authorization", "Content-Type", "Idempotency-Key", "X-API-Key", "X-Channel-ID", "traceparent"),
        *("If-None-Match", "If-Range", "Last-Event-ID", "Range"),
    )
)
_EXPOSED_HEADERS: Final = ", ".join(
    (
        *("Accept-Ranges", "Content-Disposition", "Content-Range", "ETag", "Location", "Retry-After", "X-Request-ID"),
        *("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"),
    )
)


def _origin(text: str) -> str:
    """Check that an origin is written as browsers write it, since it is compared letter by letter."""
    parts = urlsplit(text)
    if (
        parts.scheme not in {"http", "https"}
        or not parts.hostname
        or text != f"{parts.scheme}://{parts.netloc}".lower()
    ):
        raise ValueError("an origin is written https://host or https://host:port, in small letters")
    if not {"@", "*"}.isdisjoint(parts.netloc) or parts.port == {"http": 80, "https": 443}[parts.scheme]:
        raise ValueError("an origin has no user, no *, and no port where it is the usual one")
    return text


Origin = Annotated[str, AfterValidator(_origin)]


class Cors:
    """Adds the CORS headers for allowed origins; all other origins find no CORS here.

    Cookies play no part: a page has to know its license key or token.
    """

    def __init__(self, origins: Collection[str]) -> None:
        self._origins = frozenset(origins)

    def install(self, app: web.Application) -> None:
        """Let the allowed origins call an application; without any, change nothing."""
        if self._origins:
            app.middlewares.append(self._preflight)
            app.on_response_prepare.append(self._add_headers)

    @web.middleware
    async def _preflight(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Answer the preflight request that a browser sends before a call."""
        try:
            return await handler(request)
        except web.HTTPMethodNotAllowed as error:
            if (
                request.method != "OPTIONS"
                or "Access-Control-Request-Method" not in request.headers
                or request.headers.get("Origin") not in self._origins
            ):
                raise
            allowed = {
                "Access-Control-Allow-Methods": ", ".join(sorted(error.allowed_methods)),
                "Access-Control-Allow-Headers": _ALLOWED_HEADERS,
                "Access-Control-Max-Age": str(PREFLIGHT_MAX_AGE.seconds),
            }
            return web.Response(status=204, headers=allowed)

    async def _add_headers(self, request: web.Request, response: web.StreamResponse) -> None:
        response.headers.add("Vary", "Origin")  # no cache may give one origin the answer for another
        origin = request.headers.get("Origin")
        if origin in self._origins:
            response.headers["Access-Control-Allow-Origin"] = str(origin)
            response.headers["Access-Control-Expose-Headers"] = _EXPOSED_HEADERS
