"""The API document is valid, and says what the services do."""

import json
import re
import time
from collections.abc import Iterator
from typing import Any, TypeVar

import jsonschema_rs
import pytest
import schemathesis
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

import services.status.__main__
from exhaust.errors import HTTP_STATUS, ErrorCode
from exhaust.http.endpoint import HttpMetrics
from exhaust.http.envelope import RequestPart
from exhaust.postgres.audit import Action
from exhaust.process.health import Health
from services.gateway.apps import Operations, internal_app, public_app
from services.gateway.cors import Cors
from services.gateway.handlers.admin import Administration
from services.gateway.handlers.docs import PUBLIC, docs_routes, listener_part, load_document
from services.gateway.handlers.download import SynchronousDownloads
from services.gateway.handlers.register import Registration
from services.gateway.handlers.status import StatusService
from services.gateway.handlers.submit import Submission
from services.gateway.rate_limits import RateLimits
from services.gateway.settings import LimitSettings
from services.status.settings import StatusSettings
from services.status.status_calls import StatusCalls
from services.status.update_calls import UpdateCalls

T = TypeVar("T")
METHODS = ("get", "head", "post", "put", "patch", "delete")
DOCUMENT = load_document()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                yield method.upper(), path, item[method]


EVERY = list(operations(DOCUMENT))
NAMES = [f"{method} {path}" for method, path, _ in EVERY]


def resolved(part: Any) -> Any:
    """The part that a reference stands for."""
    while isinstance(part, dict) and "$ref" in part:
        reference = part["$ref"]
        part = DOCUMENT
        for name in reference.removeprefix("#/").split("/"):
            part = part[name]
    return part


def validator(schema: Any) -> Any:
    """Of a schema in this document, with formats."""
    return jsonschema_rs.validator_for(
        {**schema, "components": DOCUMENT["components"]} if isinstance(schema, dict) else schema,
        validate_formats=True,
    )


def media_types(operation: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Everything in an operation that has a schema and may have examples, by place."""
    for name, media_type in operation.get("requestBody", {}).get("content", {}).items():
        yield f"request {name}", media_type
    for status, response in operation["responses"].items():
        for name, media_type in resolved(response).get("content", {}).items():
            yield f"{status} {name}", media_type
    for parameter in map(resolved, operation.get("parameters", ())):
        yield parameter["name"], parameter


def examples(media_type: dict[str, Any]) -> list[Any]:
    several = [resolved(example)["value"] for example in media_type.get("examples", {}).values()]
    return [*several, media_type["example"]] if "example" in media_type else several


def limits(schema: dict[str, Any]) -> dict[str, Any]:
    """What a schema says of a value that may be null, whichever way it is written."""
    parts = [part for part in schema.get("anyOf", [schema]) if part != {"type": "null"}]
    (part,) = parts
    kinds = [kind for kind in ([part["type"]] if isinstance(part["type"], str) else part["type"]) if kind != "null"]
    return {name: part[name] for name in part if name not in {"type", "description", "title", "default"}} | {
        "type": kinds
    }


def test_the_document_is_openapi_3_1() -> None:
    loaded = schemathesis.openapi.from_dict(DOCUMENT)
    loaded.validate()
    assert {label for label in NAMES if loaded.find_operation_by_label(label) is None} == set()


def test_every_schema_is_a_schema() -> None:
    for schema in DOCUMENT["components"]["schemas"].values():
        jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})


@pytest.mark.parametrize(("method", "path", "operation"), EVERY, ids=NAMES)
def test_examples_follow_their_schemas(method: str, path: str, operation: dict[str, Any]) -> None:
    for place, media_type in media_types(operation):
        for example in examples(media_type):
            problems = [error.message for error in validator(media_type["schema"]).iter_errors(example)]
            assert problems == [], f"{method} {path} {place}"


@pytest.mark.parametrize(("method", "path", "operation"), EVERY, ids=NAMES)
def test_operations_are_described_to_the_end(method: str, path: str, operation: dict[str, Any]) -> None:
    assert operation["summary"]
    assert {"public", "internal"} & set(operation["tags"]) == {
        "public" if "public" in operation["x-listeners"] else "internal"
    }
    in_path = {part[1:-1] for part in path.split("/") if part.startswith("{")}
    named = {p["name"] for p in map(resolved, operation.get("parameters", ())) if p["in"] == "path"}
    assert named == in_path, f"{method} {path}"
    if method == "POST":
        body = [media_type for place, media_type in media_types(operation) if place == "request application/json"]
        assert len(body) == 1
        assert examples(body[0])


def test_operation_ids_are_unique() -> None:
    ids = [operation["operationId"] for _, _, operation in EVERY]
    assert sorted(set(ids)) == sorted(ids)


def test_every_component_is_used() -> None:
    whole = json.dumps(DOCUMENT)
    unused = [
        f"{kind}/{name}"
        for kind, parts in DOCUMENT["components"].items()
        for name in parts
        if f"#/components/{kind}/{name}" not in whole and kind != "securitySchemes"
    ]
    assert unused == []


def test_codes_are_those_of_the_code() -> None:
    answered = resolved(DOCUMENT["components"]["schemas"]["ErrorCode"])
    reasons = set(resolved(DOCUMENT["components"]["schemas"]["FailureReason"])["enum"])
    statuses = {code.value: status for code, status in HTTP_STATUS.items()} | {"INTERNAL_ERROR": 500}
    assert answered["x-http-status"] == statuses
    assert set(answered["enum"]) == set(statuses)
    assert set(answered["enum"]) | reasons == set(ErrorCode)


def test_requests_are_described_as_they_are_read() -> None:
    described = resolved(DOCUMENT["components"]["schemas"]["RequestPart"])["properties"]
    read = RequestPart.model_json_schema()["properties"]
    assert {name: limits(schema) for name, schema in described.items()} == {
        name: limits(schema) for name, schema in read.items()
    }


def test_acts_are_those_of_the_code() -> None:
    wanted = DOCUMENT["components"]["schemas"]["AuditRequest"]["allOf"][1]["properties"]["request"]["properties"]
    assert {name for name in wanted["action"]["enum"] if name} == set(Action)


def test_every_status_in_use_is_in_the_table() -> None:
    used = {status for _, _, operation in EVERY for status in operation["responses"] if status >= "400"}
    missing = [status for status in used if f" {status}" not in DOCUMENT["info"]["description"]]
    assert missing == []


def test_the_public_part_holds_nothing_internal() -> None:
    public = listener_part(DOCUMENT, PUBLIC)
    assert {name for name in NAMES if name not in {f"{method} {path}" for method, path, _ in operations(public)}} == {
        f"{method} {path}" for method, path, operation in EVERY if "public" not in operation["x-listeners"]
    }
    assert all("public" in operation["tags"] for _, _, operation in operations(public))
    assert "serviceToken" not in public["components"]["securitySchemes"]
    assert "UpdateRequest" not in public["components"]["schemas"]
    assert "internal" not in {tag["name"] for tag in public["tags"]}
    schemathesis.openapi.from_dict(public).validate()
    jsonschema_rs.validator_for({"$ref": "#/components/schemas/SubmitAnswer", "components": public["components"]})


def hollow(kind: type[T]) -> T:
    """Something of a kind that has its methods and nothing else: enough to put them into a route table."""
    return object.__new__(kind)


def gateway_app(listener: str) -> web.Application:
    operations = Operations(
        hollow(Registration),
        hollow(Submission),
        hollow(SynchronousDownloads),
        hollow(StatusService),
        hollow(Administration),
    )
    health, metrics = Health(), HttpMetrics(CollectorRegistry())
    if listener == "internal":
        return internal_app(health, operations, SecretStr("a service token"), metrics)
    return public_app(health, operations, RateLimits(LimitSettings(), time.monotonic), Cors(()), metrics)


def status_app() -> web.Application:
    token: dict[str, Any] = {"service_token": SecretStr("a service token")}
    settings = StatusSettings.model_construct(**token)
    return services.status.__main__.internal_app(Health(), settings, hollow(StatusCalls), hollow(UpdateCalls))


def routes(listener: str) -> set[str]:
    """The operations that a listener serves, without the page's own files."""
    app = status_app() if listener == "status" else gateway_app(listener)
    served = {
        f"{route.method} {route.resource.canonical}"
        for route in app.router.routes()
        if route.resource is not None and not route.resource.canonical.startswith("/docs/")
    }
    # aiohttp answers HEAD wherever it answers GET.
    return {name for name in served if not (name.startswith("HEAD ") and name.replace("HEAD", "GET", 1) in served)}


def described(listener: str) -> set[str]:
    gets = {path for method, path, _ in EVERY if method == "GET"}
    return {
        f"{method} {path}"
        for method, path, operation in EVERY
        if listener in operation["x-listeners"] and not (method == "HEAD" and path in gets)
    }


@pytest.mark.parametrize("listener", ["public", "internal", "status"])
def test_routes_and_operations_are_the_same(listener: str) -> None:
    served = routes(listener)
    wrong = [f"{name} is served, but not described" for name in served - described(listener)]
    wrong += [f"{name} is described, but not served" for name in described(listener) - served]
    assert wrong == [], "\n".join(wrong)


async def test_the_page_comes_whole_from_here() -> None:
    app = web.Application()
    app.add_routes(docs_routes(listener_part(DOCUMENT, PUBLIC)))
    async with TestClient(TestServer(app)) as client:
        page = await client.get("/docs")
        text = await page.text()
        assert "default-src 'none'; script-src 'self'" in page.headers["Content-Security-Policy"]
        needed = re.findall(r'(?:src|href)="([^"]*)"', text)
        assert len(needed) == 6
        assert "//" not in "".join(needed)
        for name in needed:
            if not name.startswith("data:"):
                answer = await client.get(f"/{name}")
                assert (answer.status, answer.headers["X-Content-Type-Options"]) == (200, "nosniff"), name
                assert await answer.read()
        assert await (await client.get("/openapi.json")).json() == listener_part(DOCUMENT, PUBLIC)
