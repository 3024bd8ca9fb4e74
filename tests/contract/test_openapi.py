"""The API document is valid, and says what the services do."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import jsonschema_rs
import pytest
import schemathesis
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from exhaust.errors import HTTP_STATUS, ErrorCode
from exhaust.postgres.audit import Action
from schemas.webhooks import DAY_CLOSED, EVENTS, REQUEST_COMPLETE, REQUEST_FAILED, TEST
from services.gateway.api_document import listener_part, load_document
from services.gateway.handlers.docs import docs_routes
from services.status.webhooks.message import message_body, signed_headers
from tests.support.listeners import LISTENERS, endpoints, listener_app

METHODS = ("get", "head", "post", "put", "patch", "delete")
DOCUMENT = load_document()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                yield method.upper(), path, item[method]


EVERY = list(operations(DOCUMENT))
NAMES = [f"{method} {path}" for method, path, _ in EVERY]
ENDPOINTS = {listener: endpoints(listener) for listener in LISTENERS}
# pydantic writes some limits under names of its own.
LIMITS = {"ge": "minimum", "lt": "exclusiveMaximum"} | {
    name: name for name in ("maxLength", "minimum", "maximum", "exclusiveMaximum", "minItems", "maxItems")
}
JSON_TYPES = {str: "string", type(None): "null"}
# What is checked after the body was read, with words of its own: the form of a resource id, and lists of words.
NARROWER = {
    "resourceId": 128,
    "action": len("webhook-create"),
    "status": len("inprogress"),
    "ownerKind": len("channel"),
}


def resolved(part: Any) -> Any:
    """Follow references to the part that they stand for."""
    while isinstance(part, dict) and "$ref" in part:
        reference = part["$ref"]
        part = DOCUMENT
        for name in reference.removeprefix("#/").split("/"):
            part = part[name]
    return part


def validator(schema: Any) -> Any:
    """Build the validator of a schema in this document, with formats."""
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


def fields(schema: Any) -> dict[str, Any]:
    """The fields that a schema names, also in its parts."""
    schema = resolved(schema)
    named: dict[str, Any] = {}
    for part in (*schema.get("allOf", ()), *schema.get("anyOf", ())):
        named |= fields(part)
    named |= schema.get("properties", {})
    return named


def limits(schema: Any) -> dict[str, Any]:
    """Collect the limits and types that a schema sets for a value that is neither null nor blank."""
    schema = resolved(schema)
    said = {limit: schema[name] for name, limit in LIMITS.items() if name in schema}
    kinds = schema.get("type", [])
    said["types"] = {kinds} if isinstance(kinds, str) else {*kinds}
    said["types"] |= {JSON_TYPES[type(value)] for value in schema.get("enum", [])}
    for part in schema.get("anyOf", ()):
        inner = limits(part)
        said["types"] |= inner.pop("types")
        said |= inner
    said["types"] -= {"null"}
    if "items" in schema:
        said["items"] = {name: limits(inner) for name, inner in fields(schema["items"]).items()}
    if "enum" in schema:
        said["maxLength"] = max(len(value or "") for value in schema["enum"])
    return said


def read(schema: Any, definitions: Any) -> Any:
    """A model's schema with its definitions in their places."""
    if isinstance(schema, dict):
        if "$ref" in schema:
            return read(definitions[schema["$ref"].rpartition("/")[2]], definitions)
        return {name: read(inner, definitions) for name, inner in schema.items()}
    return [read(inner, definitions) for inner in schema] if isinstance(schema, list) else schema


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
def test_every_operation_is_described_completely(method: str, path: str, operation: dict[str, Any]) -> None:
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


def test_the_error_codes_are_those_of_the_code() -> None:
    answered = resolved(DOCUMENT["components"]["schemas"]["ErrorCode"])
    reasons = set(resolved(DOCUMENT["components"]["schemas"]["FailureReason"])["enum"])
    statuses = {code.value: status for code, status in HTTP_STATUS.items()} | {"INTERNAL_ERROR": 500}
    assert answered["x-http-status"] == statuses
    assert set(answered["enum"]) == set(statuses)
    assert set(answered["enum"]) | reasons == set(ErrorCode)


@pytest.mark.parametrize(("method", "path", "operation"), EVERY, ids=NAMES)
def test_every_body_is_described_as_its_model_reads_it(method: str, path: str, operation: dict[str, Any]) -> None:
    if "requestBody" not in operation:
        return
    # The gateway passes two operations on to the status service, which does not read the license key.
    listener = operation["x-listeners"][0]
    model = ENDPOINTS[listener][method, path].body.model_json_schema()
    expected = {name: limits(read(inner, model.get("$defs"))) for name, inner in model["properties"].items()}
    schema = fields(operation["requestBody"]["content"]["application/json"]["schema"])["request"]
    described = {name: limits(inner) for name, inner in fields(schema).items()}
    assert described.pop("licensekey", None) == described.get("licenseKey")
    assert set(described) == set(expected)
    for name, said in described.items():
        narrower = NARROWER.get(name)
        if narrower is not None:
            assert said["maxLength"] == narrower < expected[name]["maxLength"]
            said["maxLength"] = expected[name]["maxLength"]
        assert said == expected[name], name


@pytest.mark.parametrize(("method", "path", "operation"), EVERY, ids=NAMES)
def test_every_query_parameter_is_described_and_no_other(method: str, path: str, operation: dict[str, Any]) -> None:
    parameters = list(map(resolved, operation.get("parameters", ())))
    documented = {parameter["name"] for parameter in parameters if parameter["in"] == "query"}
    for listener in operation["x-listeners"]:
        if (method, path) in ENDPOINTS[listener]:  # health, metrics and the page of this document read no query
            served = ENDPOINTS[listener][method, path].operation
            lists = {f"{name}{brackets}" for name in served.query_lists for brackets in ("", "[]")}
            assert documented == served.query | lists
        else:
            assert documented == set()


def test_examples_name_their_operation() -> None:
    for method, path, operation in EVERY:
        for _, media_type in media_types({**operation, "responses": {}, "parameters": []}):
            served = ENDPOINTS[operation["x-listeners"][0]][method, path].operation
            named = {(example["id"], example["ver"]) for example in examples(media_type) if "id" in example}
            assert named <= {(served.id, served.ver)}, path


@pytest.mark.parametrize("service", [("public", "internal"), ("status",)])
def test_metrics_tell_operations_apart(service: tuple[str, ...]) -> None:
    labels: dict[tuple[str, str], set[str]] = {}
    for listener in service:
        for (_, path), served in ENDPOINTS[listener].items():
            label = (served.operation.label, served.operation.version)
            labels.setdefault(label, set()).add(re.sub(r"/\{(resourceId|fromDate|toDate)\}", "", path))
    assert {label: paths for label, paths in labels.items() if len(paths) > 1} == {}


def test_the_audit_actions_are_those_of_the_code() -> None:
    wanted = DOCUMENT["components"]["schemas"]["AuditRequest"]["allOf"][1]["properties"]["request"]["properties"]
    assert {name for name in wanted["action"]["enum"] if name} == set(Action)


def test_every_status_in_use_is_in_the_table() -> None:
    used = {status for _, _, operation in EVERY for status in operation["responses"] if status >= "400"}
    missing = [status for status in used if f" {status}" not in DOCUMENT["info"]["description"]]
    assert missing == []


def test_the_public_part_holds_nothing_internal() -> None:
    public = listener_part(DOCUMENT, "public")
    assert {name for name in NAMES if name not in {f"{method} {path}" for method, path, _ in operations(public)}} == {
        f"{method} {path}" for method, path, operation in EVERY if "public" not in operation["x-listeners"]
    }
    assert all("public" in operation["tags"] for _, _, operation in operations(public))
    assert "serviceToken" not in public["components"]["securitySchemes"]
    assert "UpdateRequest" not in public["components"]["schemas"]
    assert "internal" not in {tag["name"] for tag in public["tags"]}
    schemathesis.openapi.from_dict(public).validate()
    jsonschema_rs.validator_for({"$ref": "#/components/schemas/SubmitAnswer", "components": public["components"]})


REQUEST = {
    "requestid": str(UUID(int=7)),
    "datasetid": "eks-consumption-raw",
    "resourceid": "4208ab995984d222b59299e5103d350a",
    "fromdate": "2026-10-30",
    "todate": "2026-11-01",
}
MESSAGES = {
    "requestEnded": [
        (REQUEST_COMPLETE, REQUEST | {"status": "complete"}),
        (REQUEST_FAILED, REQUEST | {"status": "failed", "code": "CANCELLED"}),
        (REQUEST_FAILED, REQUEST | {"status": "failed", "code": "SOURCE_OBJECT_UNREADABLE", "day": "2026-10-31"}),
    ],
    "dayClosed": [(DAY_CLOSED, {"datasetid": "eks-consumption-raw", "date": "2026-11-01"})],
    "webhookTest": [(TEST, {"webhookid": str(UUID(int=8))})],
}


@pytest.mark.parametrize("name", DOCUMENT["webhooks"])
def test_webhooks_are_told_what_is_described(name: str) -> None:
    operation = DOCUMENT["webhooks"][name]["post"]
    media_type = operation["requestBody"]["content"]["application/json"]
    sent = [json.loads(message_body(event, datetime(2026, 11, 2, tzinfo=UTC), data)) for event, data in MESSAGES[name]]
    checked = validator(media_type["schema"])
    for message in (*sent, *examples(media_type)):
        assert [error.message for error in checked.iter_errors(message)] == []
    named = {header["name"] for header in operation["parameters"]}
    assert named == {header for header in signed_headers("", datetime.now(UTC), b"", [b""]) if header.startswith("web")}


def test_every_event_of_webhooks_is_described_to_partners_alone() -> None:
    told = {event for messages in MESSAGES.values() for event, _ in messages}
    assert told == {*EVENTS, TEST}
    assert set(DOCUMENT["webhooks"]) == set(MESSAGES) == set(listener_part(DOCUMENT, "public")["webhooks"])
    assert listener_part(DOCUMENT, "internal")["webhooks"] == {}


def routes(listener: str) -> set[str]:
    """The operations that a listener serves, without the page's own files."""
    served = {
        f"{route.method} {route.resource.canonical}"
        for route in listener_app(listener).router.routes()
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


@pytest.mark.parametrize("listener", LISTENERS)
def test_routes_and_operations_are_the_same(listener: str) -> None:
    served = routes(listener)
    wrong = [f"{name} is served, but not described" for name in served - described(listener)]
    wrong += [f"{name} is described, but not served" for name in described(listener) - served]
    assert wrong == [], "\n".join(wrong)


async def test_the_page_loads_nothing_from_other_servers() -> None:
    app = web.Application()
    app.add_routes(docs_routes(listener_part(DOCUMENT, "public")))
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
        assert await (await client.get("/openapi.json")).json() == listener_part(DOCUMENT, "public")
