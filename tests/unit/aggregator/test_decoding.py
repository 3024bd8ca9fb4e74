"""The code and the pointer of values that are no event."""

import json
from typing import Any

import pytest
from pydantic import TypeAdapter

from exhaust.kafka.records import Record, RejectedRecordError
from schemas.events import COMPLETION, DayRequested
from services.aggregator.decoding import decode_record

REQUEST = "7d0b1c57-3c52-4a2c-8f0a-5f0c4f6f6c11"
ARCHIVE = {"key": "requests/x", "size": 1, "digest": "0" * 64, "events": 1, "bytes": 1}
COMPLETE: dict[str, Any] = {"requestid": REQUEST, "attempt": 1, "status": "complete", "archive": ARCHIVE}
DAY: dict[str, Any] = {
    "requestid": REQUEST,
    "attempt": 1,
    "datasetid": "d",
    "resourceid": "r",
    "fromdate": "2026-11-01",
    "todate": "2026-11-01",
    "tags": ["a"],
    "day": "2026-11-01",
}


def refusal(kind: TypeAdapter[Any], value: bytes) -> tuple[str, str]:
    with pytest.raises(RejectedRecordError) as refused:
        decode_record(Record("topic", 0, 0, None, value, ()), kind)
    return refused.value.code, refused.value.pointer


@pytest.mark.parametrize("value", [b"", b"{", b"\xff", b'{"requestid": ', b"[" * 10_000])
def test_what_is_no_json_is_called_so(value: bytes) -> None:
    assert refusal(COMPLETION, value) == ("NOT_JSON", "")


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"archive": ARCHIVE | {"size": -1}}, "/archive/size"),
        ({"archive": {name: value for name, value in ARCHIVE.items() if name != "digest"}}, "/archive/digest"),
        ({"archive": 7}, "/archive"),
        ({"attempt": 0}, "/attempt"),
        ({"status": "done"}, "/status"),
        ({"status": "failed"}, "/error"),
        ({"status": "failed", "error": {"code": "X", "message": "a\0b"}}, "/error/message"),
        ({"status": "failed", "error": {"code": "X", "message": "x", "object": "\0"}}, "/error/object"),
        ({"status": "failed", "error": {"code": "", "message": "x"}}, "/error/code"),
        ({"requestid": "x"}, "/requestid"),
    ],
)
def test_the_pointer_names_the_first_wrong_place_of_a_completion(change: dict[str, Any], pointer: str) -> None:
    assert refusal(COMPLETION, json.dumps(COMPLETE | change).encode()) == ("SCHEMA", pointer)


def test_the_pointer_names_the_first_wrong_place_of_work() -> None:
    days = TypeAdapter(DayRequested)
    assert refusal(days, json.dumps(DAY | {"tags": ["a", 7]}).encode()) == ("SCHEMA", "/tags/1")
    assert refusal(days, json.dumps(DAY | {"day": "2026-02-30"}).encode()) == ("SCHEMA", "/day")
    assert refusal(days, b"[]") == ("SCHEMA", "")
    without = {name: value for name, value in COMPLETE.items() if name != "status"}
    assert refusal(COMPLETION, json.dumps(without).encode()) == ("SCHEMA", "/status")
