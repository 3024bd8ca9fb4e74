"""The API document at /openapi.json, and as a page at /docs that needs nothing from elsewhere."""

from __future__ import annotations

import re
from functools import cache
from importlib import metadata, resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson
import yaml
from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping

PUBLIC: Final = "public"
_REFERENCE: Final = re.compile(r"#/components/([^/]+)/([^/]+)")
# Swagger UI, as the package offapi carries it.
_ASSETS: Final = {"swagger-ui.css": "swagger_style.css", "swagger-ui.js": "swagger_bundle.js"}
_CHUNK_BYTES: Final = 64 * 1024  # that lie in memory for a caller who does not read them
_GUARDS: Final = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
# Swagger UI writes style attributes; scripts, requests and forms stay on this listener.
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src data:; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# Addresses are relative, so that the page also works behind a proxy that adds a prefix.
_PAGE: Final = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Telemetry Exhaust API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="docs/swagger-ui.css">
<link rel="stylesheet" href="docs/page.css">
</head>
<body>
<div id="page"><p class="waiting">Reading the API document …</p></div>
<noscript><p>This page needs JavaScript; <a href="openapi.json">the document</a> does not.</p></noscript>
<script src="docs/swagger-ui.js"></script>
<script src="docs/page.js"></script>
</body>
</html>
"""
# Every operation is tagged with its audience and its subject. The page has one place for each: internal ones together.
_SCRIPT: Final = """"use strict";
const place = (operation) =>
  operation.tags.includes("internal") ? ["internal"] : operation.tags.filter((tag) => tag !== "public");
const show = (spec) => {
  for (const path of Object.values(spec.paths))
    for (const operation of Object.values(path))
      if (operation.tags) operation.tags = place(operation);
  spec.tags = spec.tags.filter((tag) => tag.name !== "public");
  SwaggerUIBundle({
    spec, dom_id: "#page", deepLinking: true, validatorUrl: null, docExpansion: "list",
    defaultModelRendering: "example", defaultModelsExpandDepth: -1, requestSnippetsEnabled: false,
  });
};
fetch("openapi.json").then((answer) => answer.json()).then(show);
"""
_STYLE: Final = """body { margin: 0; background: #fff; }
.waiting { font: 16px sans-serif; margin: 2em; }
.swagger-ui .wrapper { max-width: 1100px; }
.swagger-ui .info { margin: 30px 0 10px; }
.swagger-ui .info .title small pre { background: none; }
.swagger-ui .markdown table { border-collapse: collapse; width: auto; }
.swagger-ui .info table tbody tr td:first-of-type, .swagger-ui .info table td, .swagger-ui .info table th {
  padding: 4px 14px 4px 0; border-bottom: 1px solid #e4e4e4; vertical-align: top;
}
.swagger-ui .opblock-tag small { font-size: 14px; }
"""


@cache
def load_document() -> dict[str, Any]:
    """The whole document, internal operations included; read once, so nobody may change it."""
    text = resources.files("schemas").joinpath("openapi.yaml").read_text("utf-8")
    # Ten times as fast as the loader in Python.
    document: dict[str, Any] = yaml.load(text, Loader=yaml.CSafeLoader)
    return document


def listener_part(document: Mapping[str, Any], listener: str) -> dict[str, Any]:
    """What one listener serves, and what that needs; without our own notes (`x-…`).

    Args:
        document: the whole document.
        listener: public, internal or status.
    """
    paths: dict[str, dict[str, Any]] = {}
    for path, operations in document["paths"].items():
        served = {
            method: {name: part for name, part in operation.items() if not name.startswith("x-")}
            for method, operation in operations.items()
            if listener in operation["x-listeners"]
        }
        if served:
            paths[path] = served
    tags = {tag for operations in paths.values() for operation in operations.values() for tag in operation["tags"]}
    return {
        **document,
        "tags": [tag for tag in document["tags"] if tag["name"] in tags],
        "paths": paths,
        "components": _needed(document["components"], paths),
    }


def docs_routes(document: Mapping[str, Any]) -> list[web.RouteDef]:
    """GET /openapi.json with this document, and GET /docs, its page.

    Raises:
        PackageNotFoundError: the package that carries the page's renderer is not installed.
    """
    package = metadata.distribution("offapi")
    page_headers = {**_GUARDS, "Content-Security-Policy": _POLICY, "Cache-Control": "no-cache"}
    return [
        web.get("/openapi.json", _text(orjson.dumps(document), "application/json")),
        web.get("/docs", _text(_PAGE.encode(), "text/html", page_headers)),
        web.get("/docs/page.js", _text(_SCRIPT.encode(), "text/javascript")),
        web.get("/docs/page.css", _text(_STYLE.encode(), "text/css")),
        *(
            web.get(f"/docs/{name}", _file(Path(str(package.locate_file(f"offapi/{held}")))))
            for name, held in _ASSETS.items()
        ),
    ]


def _needed(components: Mapping[str, Any], paths: Mapping[str, Any]) -> dict[str, Any]:
    """The components that the paths refer to, also by way of others; and the security schemes that they name."""
    needed: set[tuple[str, str]] = set()
    found = set(_references(paths))
    while found:
        needed |= found
        found = {more for kind, name in found for more in _references(components[kind][name])} - needed
    return {
        kind: {name: part for name, part in parts.items() if (kind, name) in needed}
        for kind, parts in components.items()
    }


def _references(part: object) -> Iterator[tuple[str, str]]:
    """What a part of the document refers to, as kind and name."""
    if isinstance(part, dict):
        if match := _REFERENCE.fullmatch(str(part.get("$ref", ""))):
            yield match[1], match[2]
        for requirement in part.get("security", ()):
            yield from (("securitySchemes", name) for name in requirement)
        for value in part.values():
            yield from _references(value)
    elif isinstance(part, list):
        for value in part:
            yield from _references(value)


def _text(
    body: bytes, content_type: str, headers: Mapping[str, str] = _GUARDS
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=body, content_type=content_type, charset="utf-8", headers=dict(headers))

    return answer


def _file(path: Path) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def answer(_request: web.Request) -> web.StreamResponse:
        headers = {**_GUARDS, "Cache-Control": "public, max-age=86400"}
        return web.FileResponse(path, chunk_size=_CHUNK_BYTES, headers=headers)

    return answer
