"""What is right, what is refused, and with which code and pointer."""

from __future__ import annotations

import json
from typing import Any

import pytest

from exhaust_contract import RefusedEventError, check
from exhaust_contract.documents import KINDS, VARIANTS, example

OURS = [kind.name for kind in KINDS if kind.topic == "dataset.completions"]
LEAST: dict[str, Any] = example("progress", "least")
COMPLETED: dict[str, Any] = example("completed", "least")


def bytes_of(headers: dict[str, str]) -> list[tuple[str, bytes | None]]:
    return [(name, text.encode()) for name, text in headers.items()]


def verdict(headers: list[tuple[str, bytes | None]], value: bytes | None) -> tuple[str, str] | None:
    try:
        check(headers, value)
    except RefusedEventError as error:
        return error.code.value, error.pointer
    return None


def of_value(**change: Any) -> tuple[str, str] | None:
    return verdict(bytes_of(LEAST["headers"]), json.dumps(LEAST["value"] | change).encode())


def of_headers(**change: str) -> tuple[str, str] | None:
    return verdict(bytes_of(LEAST["headers"] | change), json.dumps(LEAST["value"]).encode())


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", OURS)
def test_each_example_earns_what_it_says(name: str, variant: str) -> None:
    shown = example(name, variant)
    refused = shown.get("refused")
    expected = (refused["code"], refused["pointer"]) if refused else None
    assert verdict(bytes_of(shown["headers"]), json.dumps(shown["value"]).encode()) == expected


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"{",
        b"{} {}",
        b"\xc2\xa0{}",
        b"\xff",
        b"\xef\xbb\xbf{}",
        '{"requestid": "x"}'.encode("utf-16"),
        b'{"daystotal": NaN}',
        b'{"daystotal": -Infinity}',
        b'{"message": "\\ud800"}',
        b'{"\\udc00": 1}',
        b'{"much": ' + b"9" * 5000 + b"}",
        b'{"deep": ' + b"[" * 101 + b"]" * 101 + b"}",
        b"[" * 100_000 + b"]" * 100_000,
    ],
    ids=lambda value: repr(value[:24]),
)
def test_what_is_no_json_is_called_so(value: bytes) -> None:
    assert verdict(bytes_of(LEAST["headers"]), value) == ("NOT_JSON", "")


def test_blanks_around_the_value_are_let_be() -> None:
    value = b" \t\r\n" + json.dumps(LEAST["value"]).encode() + b"\n"
    assert verdict(bytes_of(LEAST["headers"]), value) is None


def test_brackets_that_are_many_and_not_deep_are_let_be() -> None:
    assert of_value(more=[[]] * 200) is None
    assert of_value(more="[" * 200) is None


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"status": "done"}, "/status"),
        ({"status": ["inprogress"]}, "/status"),
        ({"status": None}, "/status"),
        ({"attempt": "1"}, "/attempt"),
        ({"attempt": 0}, "/attempt"),
        ({"attempt": True}, "/attempt"),
        ({"requestid": "7d0b1c573c524a2c8f0a5f0c4f6f6c11"}, "/requestid"),
        ({"daystotal": 2**53}, "/daystotal"),
        ({"daystotal": 1e999}, ""),
        (
            {"day": {"day": "0000-01-01", "state": "ok", "events": 1, "bytes": 1, "unreadable": 0, "reused": 0}},
            "/day/day",
        ),
        ({"day": {}}, "/day/bytes"),
        ({"day": {"day": "2026-02-30"}}, "/day/bytes"),
        ({"workid": "x", "attempt": -1}, "/attempt"),
    ],
)
def test_the_pointer_is_the_first_wrong_place(change: dict[str, Any], pointer: str) -> None:
    assert of_value(**change) == ("SCHEMA" if pointer else "NOT_JSON", pointer)


@pytest.mark.parametrize("value", [b"[]", b"7", b"null", b'"x"'])
def test_a_value_that_is_no_object_is_refused_as_a_whole(value: bytes) -> None:
    assert verdict(bytes_of(LEAST["headers"]), value) == ("SCHEMA", "")


def test_a_record_without_value_is_a_tombstone() -> None:
    assert verdict(bytes_of(LEAST["headers"]), None) == ("TOMBSTONE", "")


@pytest.mark.parametrize(
    "change",
    [
        {"ce_id": ""},
        {"ce_id": "x" * 257},
        {"ce_id": "a\0b"},
        {"ce_source": "not a reference"},
        {"ce_source": ""},
        {"ce_specversion": "0.3"},
        {"ce_type": ""},
        {"ce_time": "yesterday"},
        {"content-type": "text/plain"},
    ],
    ids=str,
)
def test_a_frame_that_does_not_follow_its_schema_is_refused(change: dict[str, str]) -> None:
    assert of_headers(**change) == ("SCHEMA", "")


def test_a_missing_header_is_named() -> None:
    headers = {name: text for name, text in LEAST["headers"].items() if name != "ce_id"}
    with pytest.raises(RefusedEventError, match="the header ce_id is missing"):
        check(bytes_of(headers), json.dumps(LEAST["value"]).encode())


def test_the_last_of_two_headers_counts_and_others_are_let_be() -> None:
    value = json.dumps(LEAST["value"]).encode()
    wrong, right = ("ce_id", b""), ("ce_id", b"1")
    rest = [(name, text) for name, text in bytes_of(LEAST["headers"]) if name != "ce_id"]
    assert verdict([wrong, right, ("other", b"\xff"), ("null", None), *rest], value) is None
    assert verdict([right, wrong, *rest], value) == ("SCHEMA", "")
    assert verdict([("ce_id", b"\xff"), *rest], value) == ("SCHEMA", "")


@pytest.mark.parametrize("kind", ["telemetry-exhaust.dataset.failed.v1", "org.example.ended.v1"])
def test_a_type_that_does_not_agree_is_no_fault_of_the_schema(kind: str) -> None:
    assert of_headers(ce_type=kind) == ("TYPE_MISMATCH", "")


@pytest.mark.parametrize(
    "key", ["", "x.zip", "requests/", "{prefix}", "{prefix}../x.zip", "{prefix}a//b", "/{prefix}x"]
)
def test_an_archive_lies_under_its_attempt(key: str) -> None:
    value = COMPLETED["value"]
    prefix = f"requests/{value['requestid']}/attempt-1/"
    moved = value | {"archive": value["archive"] | {"key": key.format(prefix=prefix)}}
    said = verdict(bytes_of(COMPLETED["headers"]), json.dumps(moved).encode())
    assert said == ("ARCHIVE_OUTSIDE_PREFIX", "/archive/key")
