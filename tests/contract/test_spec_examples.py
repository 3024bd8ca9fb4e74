"""The examples of the two API documents are accepted as they stand, and their field names and codes are answered."""

import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from exhaust.errors import HTTP_STATUS, ErrorCode, ExhaustError
from exhaust.http.envelope import envelope_of, failure, message_id, parse_request, success
from exhaust.http.request import decode_body
from schemas.operations import Operation
from services.gateway.api_document import load_document
from tests.conftest import ROOT
from tests.support.listeners import endpoints

DOCUMENT = load_document()
OPERATION = re.compile(r"^``([A-Z]+) ([^`?]+)(?:\?[^`]*)?``$", re.MULTILINE)
FENCE = re.compile(r"^ *```javascript\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"^- ```([A-Z_]+):```", re.MULTILINE)
COMMENT = re.compile(r'("(?:[^"\\]|\\.)*")|//[^\n]*')
BARE_NAME = re.compile(r"^(\s*)([A-Za-z]+)(\s*:)", re.MULTILINE)
LAST_COMMA = re.compile(r",(\s*[}\]])")
READ = {
    "licenseKey": "license_key",
    "partnerid": "partner_id",
    "username": "username",
    "clientName": "client_name",
    "licenseKeyName": "license_key_name",
    "resourceId": "resource_id",
    "status": "status",
    "downloadurl": "download_url",
}
ENDPOINTS = [endpoints(listener) for listener in ("public", "internal")]
LICENSE_KEY = "3f2f5d1e-0a41-4a2b-9a6a-1f4f2b7f9c01"


@dataclass(frozen=True)
class Documented:
    """An operation as the documents describe it; `request` and `response` are their examples."""

    method: str
    path: str
    request: dict[str, Any]
    response: dict[str, Any]
    codes: tuple[str, ...]

    @property
    def described(self) -> dict[str, Any]:
        """The same operation in our own document."""
        operation: dict[str, Any] = DOCUMENT["paths"][self.path][self.method.lower()]
        return operation

    @property
    def request_schema(self) -> dict[str, Any]:
        schema: dict[str, Any] = self.described["requestBody"]["content"]["application/json"]["schema"]
        return schema

    @property
    def response_schema(self) -> dict[str, Any]:
        """The schema of a successful answer; of a refusal where the answer is an archive."""
        for status in ("200", "202"):
            content = resolved(self.described["responses"].get(status, {})).get("content", {})
            if "application/json" in content:
                schema: dict[str, Any] = content["application/json"]["schema"]
                return schema
        return {"$ref": "#/components/schemas/Failure"}


def example(text: str) -> dict[str, Any]:
    """JSON as people write it: with comments, names without quotes, and a comma too many."""
    plain = LAST_COMMA.sub(r"\1", COMMENT.sub(lambda match: match[1] or "", text))
    read: dict[str, Any] = json.loads(BARE_NAME.sub(r'\1"\2"\3', plain))
    return read


def operations(text: str) -> Iterator[Documented]:
    _, *parts = OPERATION.split(text)
    for method, path, section in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
        request, response = (example(fence) for fence in FENCE.findall(section))
        yield Documented(method, path, request, response, tuple(CODE.findall(section)))


@pytest.fixture(scope="session")
def documented() -> list[Documented]:
    """All operations of the two documents; their absence means a visible skip, in CI a failure."""
    folder = Path(os.environ.get("EXHAUST_SPEC") or ROOT.parent / "shared" / "spec")
    texts = [path.read_text() for path in sorted(folder.glob("*.txt"))]
    if not texts:
        message = f"no API documents at {folder}; set EXHAUST_SPEC"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return [operation for text in texts for operation in operations(text)]


def resolved(part: Any) -> Any:
    while isinstance(part, dict) and "$ref" in part:
        reference = part["$ref"]
        part = DOCUMENT
        for name in reference.removeprefix("#/").split("/"):
            part = part[name]
    return part


def properties(schema: Any) -> dict[str, list[Any]]:
    """The names that a schema knows, each with what it says of them."""
    schema = resolved(schema)
    known: dict[str, list[Any]] = {}
    for name, inner in schema.get("properties", {}).items():
        known.setdefault(name, []).append(inner)
    for part in (*schema.get("allOf", ()), *schema.get("anyOf", ())):
        for name, inner in properties(part).items():
            known.setdefault(name, []).extend(inner)
    return known


def unknown_names(value: Any, schemas: list[Any], place: str = "") -> list[str]:
    """Places in an example that none of the schemas names."""
    if isinstance(value, list):
        items = [items for schema in map(resolved, schemas) if (items := schema.get("items"))]
        return [name for item in value for name in unknown_names(item, items, f"{place}[]")]
    if not isinstance(value, dict):
        return []
    known: dict[str, list[Any]] = {}
    for schema in schemas:
        for name, inner in properties(schema).items():
            known.setdefault(name, []).extend(inner)
    unknown = [f"{place}/{name}" for name in value if name not in known]
    inside = (unknown_names(value[name], known[name], f"{place}/{name}") for name in value if name in known)
    return [*unknown, *(name for names in inside for name in names)]


def filled(body: dict[str, Any]) -> dict[str, Any]:
    """With something in place of what an example leaves to the reader: blanks, and words to choose from."""
    if "request" not in body:
        return body
    chosen = {name: str(value).split("|")[0] for name, value in body["request"].items()}
    if "licenseKey" in chosen:
        chosen["licenseKey"] = LICENSE_KEY
    return body | {"request": chosen}


def small_letters(body: dict[str, Any]) -> dict[str, Any]:
    request = dict(body.get("request", {}))
    if "licenseKey" in request:
        request["licensekey"] = request.pop("licenseKey")
    return body | {"request": request}


def more_fields(body: dict[str, Any]) -> dict[str, Any]:
    params = {**body["params"], "consumerid": None, "sid": 7}
    return {**body, "rid": [], "params": params, "request": {**body.get("request", {}), "filters": {"subject": ["x"]}}}


def another_id(body: dict[str, Any]) -> dict[str, Any]:
    return {**body, "id": "org.example.anything", "ver": "3.0"}


def without_frame(body: dict[str, Any]) -> dict[str, Any]:
    return {"request": body.get("request", {})}


def as_it_stands(body: dict[str, Any]) -> dict[str, Any]:
    return body


def read_from(operation: Documented, body: object) -> dict[str, Any]:
    """The documented fields that our operation reads, with their values."""
    (served,) = (named for named in ENDPOINTS if (operation.method, operation.path) in named)
    request = parse_request(body, envelope_of(served[operation.method, operation.path].body))
    read = {name: getattr(request, field, None) for name, field in READ.items()}
    return {name: value for name, value in read.items() if value is not None}


def test_all_operations_of_the_documents_are_found(documented: list[Documented]) -> None:
    assert len(documented) == 10
    assert {operation.path.split("/")[1] for operation in documented} == {"v1", "v2", "data"}
    assert sum(bool(operation.codes) for operation in documented) == 6


def test_every_documented_operation_is_in_the_api_document(documented: list[Documented]) -> None:
    written = {(method.upper(), path) for path, item in DOCUMENT["paths"].items() for method in item}
    missing = [f"{op.method} {op.path}" for op in documented if (op.method, op.path) not in written]
    assert missing == []


def test_examples_are_accepted_word_for_word(documented: list[Documented]) -> None:
    for operation in documented:
        body = decode_body(json.dumps(operation.request).encode(), "application/json")
        assert message_id(body) == operation.request["params"]["msgid"]
        expected = operation.request.get("request", {})
        known = {name: value for name, value in expected.items() if name in READ}
        assert read_from(operation, body) == known, operation.path


@pytest.mark.parametrize("change", [as_it_stands, small_letters, more_fields, another_id, without_frame])
def test_examples_are_accepted_as_real_clients_change_them(
    documented: list[Documented], change: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    for operation in documented:
        body = change(filled(operation.request))
        read = read_from(operation, decode_body(json.dumps(body).encode(), ""))
        assert read.get("licenseKey") == (LICENSE_KEY if "licenseKey" in operation.request.get("request", {}) else None)
        validator = jsonschema_rs.validator_for({**operation.request_schema, "components": DOCUMENT["components"]})
        assert [error.message for error in validator.iter_errors(body)] == [], operation.path


def test_every_documented_request_field_is_in_the_schema(documented: list[Documented]) -> None:
    for operation in documented:
        request = operation.request.get("request", {})
        described = properties(operation.request_schema)["request"]
        assert unknown_names(request, described) == [], operation.path


def test_every_documented_response_field_is_in_the_schema(documented: list[Documented]) -> None:
    for operation in documented:
        assert unknown_names(operation.response, [operation.response_schema]) == [], operation.path


def test_answers_have_the_documented_frame(documented: list[Documented]) -> None:
    for operation in documented:
        named = Operation(operation.request["id"], "2.0")
        good = json.loads(success(named, "m-1", {}))
        bad = json.loads(failure(named, "m-1", ExhaustError(ErrorCode.LOGIN_FAILED, "no")))
        frame = set(operation.response) - {"result"}
        assert set(good) - {"result"} == frame
        assert set(bad) == frame
        assert set(good["params"]) == set(operation.response["params"])
        assert set(bad["params"]) == set(operation.response["params"]) | {"retryable", "help"}


def test_every_documented_code_exists_with_its_status(documented: list[Documented]) -> None:
    for operation in documented:
        for code in operation.codes:
            status = HTTP_STATUS.get(ErrorCode(code), 500)
            assert str(status) in operation.described["responses"], f"{operation.path} {code}"
