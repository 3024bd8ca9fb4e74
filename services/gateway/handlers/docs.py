"""GET /openapi.json, the API document, and GET /docs, its page, which loads nothing from other servers."""

from __future__ import annotations

from importlib import metadata, resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson
from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

# Swagger UI, as the package offapi carries it.
_ASSETS: Final = {"swagger-ui.css": "swagger_style.css", "swagger-ui.js": "swagger_bundle.js"}
_CHUNK_BYTES: Final = 64 * 1024  # of a file in memory, for a caller who does not read them
_SECURITY_HEADERS: Final = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
# Swagger UI writes style attributes; scripts, requests and forms stay on this listener.
_CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src data:; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def docs_routes(document: Mapping[str, Any]) -> list[web.RouteDef]:
    """Build the routes of this document and its page.

    Raises:
        PackageNotFoundError: the package that carries the page's renderer is not installed.
    """
    package = metadata.distribution("offapi")
    page = resources.files(__package__) / "docs_page"
    page_headers = {
        **_SECURITY_HEADERS,
        "Content-Security-Policy": _CONTENT_SECURITY_POLICY,
        "Cache-Control": "no-cache",
    }
    return [
        web.get("/openapi.json", _serve_bytes(orjson.dumps(document), "application/json")),
        web.get("/docs", _serve_bytes((page / "index.html").read_bytes(), "text/html", page_headers)),
        web.get("/docs/page.js", _serve_bytes((page / "page.js").read_bytes(), "text/javascript")),
        web.get("/docs/page.css", _serve_bytes((page / "page.css").read_bytes(), "text/css")),
        *(
            web.get(f"/docs/{name}", _serve_file(Path(str(package.locate_file(f"offapi/{held}")))))
            for name, held in _ASSETS.items()
        ),
    ]


def _serve_bytes(
    body: bytes, content_type: str, headers: Mapping[str, str] = _SECURITY_HEADERS
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=body, content_type=content_type, charset="utf-8", headers=dict(headers))

    return answer


def _serve_file(path: Path) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def answer(_request: web.Request) -> web.StreamResponse:
        headers = {**_SECURITY_HEADERS, "Cache-Control": "public, max-age=86400"}
        return web.FileResponse(path, chunk_size=_CHUNK_BYTES, headers=headers)

    return answer
