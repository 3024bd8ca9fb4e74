"""The frame of a completion event, which must be whole and agree with its value."""

import json
from typing import Any

import pytest

from exhaust.kafka.records import Record, RejectedRecordError
from schemas.events import SOURCE_AGGREGATOR, TYPE_COMPLETED, TYPE_FAILED, TYPE_PROGRESS
from services.status.completions import claim_in

REQUEST = "7d0b1c57-3c52-4a2c-8f0a-5f0c4f6f6c11"
ARCHIVE = {"key": f"requests/{REQUEST}/attempt-1/x.zip", "size": 1, "digest": "0" * 64, "events": 1, "bytes": 1}
VALUES: dict[str, dict[str, Any]] = {
    TYPE_PROGRESS: {"requestid": REQUEST, "attempt": 1, "status": "inprogress", "daystotal": 1},
    TYPE_COMPLETED: {"requestid": REQUEST, "attempt": 1, "status": "complete", "archive": ARCHIVE},
    TYPE_FAILED: {"requestid": REQUEST, "attempt": 1, "status": "failed", "error": {"code": "X", "message": "x"}},
}
FRAME = {"ce_specversion": b"1.0", "ce_id": b"1", "ce_source": SOURCE_AGGREGATOR.encode()}


def record(kind: str, value: dict[str, Any], **change: bytes) -> Record:
    headers = FRAME | {"ce_type": kind.encode()} | change
    return Record("topic", 0, 0, None, json.dumps(value).encode(), tuple(headers.items()))


def refusal(told: Record) -> str:
    with pytest.raises(RejectedRecordError) as refused:
        claim_in(told)
    return refused.value.code


@pytest.mark.parametrize("kind", VALUES)
def test_an_event_is_known_by_source_id_and_all_that_it_says(kind: str) -> None:
    claim = claim_in(record(kind, VALUES[kind]))
    assert (claim.event.source, claim.event.event_id) == (SOURCE_AGGREGATOR, "1")
    assert claim.completion.status == VALUES[kind]["status"]
    assert claim_in(record(kind, VALUES[kind])).event == claim.event
    assert claim_in(record(kind, VALUES[kind] | {"workid": "0" * 16})).event != claim.event


@pytest.mark.parametrize("name", ["ce_specversion", "ce_id", "ce_source", "ce_type"])
@pytest.mark.parametrize("value", [b"", b"a\x00b", b"x" * 1025])
def test_a_frame_that_is_not_whole_is_refused(name: str, value: bytes) -> None:
    assert refusal(record(TYPE_FAILED, VALUES[TYPE_FAILED], **{name: value})) == "SCHEMA"


def test_another_version_of_cloudevents_is_refused() -> None:
    assert refusal(record(TYPE_FAILED, VALUES[TYPE_FAILED], ce_specversion=b"0.3")) == "SCHEMA"


@pytest.mark.parametrize("kind", [*VALUES, "org.example.ended.v1"])
@pytest.mark.parametrize("status", VALUES)
def test_a_type_that_does_not_agree_with_the_value_is_refused(kind: str, status: str) -> None:
    if kind != status:
        assert refusal(record(kind, VALUES[status])) == "TYPE_MISMATCH"
    else:
        assert claim_in(record(kind, VALUES[status])).completion.attempt == 1
