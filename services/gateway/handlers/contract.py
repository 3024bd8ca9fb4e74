"""GET /contract: the contract of the events, as a page, as an AsyncAPI document, as schemas and as examples."""

from __future__ import annotations

from functools import partial
from importlib import resources
from typing import TYPE_CHECKING, Final

from aiohttp import web
from exhaust_contract import documents
from jinja2 import Environment, StrictUndefined

from exhaust.errors import ErrorCode, ExhaustError
from exhaust.http.error_responses import error_response
from exhaust.http.query import check_query
from schemas.operations import Operation
from services.gateway.contract_document import contract_document

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from importlib.resources.abc import Traversable

PATH: Final = "/contract"
_OPERATION: Final = Operation("ekstep.data_exhaust_contract", "1.0", "contract")
_HEADERS: Final = {"Cache-Control": "no-cache"}
_CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_ASYNCAPI: Final = "asyncapi.yaml"
_TYPES: Final = {".schema.json": "application/schema+json", ".yaml": "application/yaml", ".json": "application/json"}


def contract_routes() -> list[web.RouteDef]:
    """Build the routes of the page, its style and the documents."""
    files = resources.files(__package__) / "contract_page"
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    page = environment.from_string((files / "index.html").read_text("utf-8")).render(contract_document())
    style = (files / "page.css").read_bytes()
    place = documents.folder()
    own = dict(_texts(place)) | {_ASYNCAPI: resources.files("schemas").joinpath(_ASYNCAPI).read_bytes()}
    return [
        web.get(PATH, partial(_answer_page, page)),
        web.get("/docs/contract.css", partial(_answer, style, "text/css")),
        web.get(f"{PATH}/{{document}}", partial(_answer_document, own)),
        web.get(f"{PATH}/examples/{{document}}", partial(_answer_document, dict(_texts(place / "examples")))),
    ]


def _texts(place: Traversable) -> Iterator[tuple[str, bytes]]:
    for file in place.iterdir():
        if file.is_file():
            yield file.name, file.read_bytes()


async def _answer_page(page: str, request: web.Request) -> web.Response:
    if refused := _refused_query(request):
        return refused
    headers = _HEADERS | {"Content-Security-Policy": _CONTENT_SECURITY_POLICY}
    return web.Response(text=page, content_type="text/html", headers=headers)


async def _answer_document(known: Mapping[str, bytes], request: web.Request) -> web.Response:
    if refused := _refused_query(request):
        return refused
    name = request.match_info["document"]
    if name not in known:
        error = ExhaustError(ErrorCode.NOT_FOUND, f"the contract has no such document; {PATH} lists those that it has")
        return error_response(request, _OPERATION, "", error)
    kind = next(kind for ending, kind in _TYPES.items() if name.endswith(ending))
    return await _answer(known[name], kind, request)


async def _answer(text: bytes, content_type: str, _request: web.Request) -> web.Response:
    return web.Response(body=text, content_type=content_type, charset="utf-8", headers=_HEADERS)


def _refused_query(request: web.Request) -> web.Response | None:
    try:
        check_query(request.query, _OPERATION)
    except ExhaustError as error:
        return error_response(request, _OPERATION, "", error)
    return None
