"""What a dead letter tells of itself, and the record that it was."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest

from exhaust.kafka.dead_letter_reader import letter_of, replay_of
from exhaust.kafka.records import Record, RejectedRecordError, RejectionCode, dead_letter_headers

REQUEST = UUID("07601f0e-1111-4222-8333-444455556666")
OWN = (("ce_source", b"/x"), ("n", b"\xff"), ("n", b"2"))
OBJECT = "raw/a: b.json.gz"


def letter(
    value: bytes = b"{}", *, key: bytes | None = b"k", headers: tuple[tuple[str, bytes], ...] = OWN, error: str = "why"
) -> Record:
    record = Record("dataset.days", 2, 77, key, value, headers)
    code = RejectionCode.SOURCE_UNREADABLE if error.startswith("SOURCE") else RejectionCode.SCHEMA
    added = dead_letter_headers(record, "group", RejectedRecordError(code, error, "/a"))
    return Record("dataset.dead-letters", 1, 5, key, value, tuple(added), written_at=datetime(2026, 1, 1, tzinfo=UTC))


def test_its_place_its_origin_and_its_reason_are_read() -> None:
    found = letter_of(letter())
    assert (found.place, found.written_at) == ((1, 5), datetime(2026, 1, 1, tzinfo=UTC))
    assert (found.topic, found.record_partition, found.record_offset, found.group) == ("dataset.days", 2, 77, "group")
    assert (found.code, found.pointer, found.error) == ("SCHEMA", "/a", "RejectedRecordError: why")
    assert (found.source, found.size, found.truncated, found.replays) == ("/x", 2, "", 0)


@pytest.mark.parametrize(
    ("value", "key", "request_id"),
    [
        (b'{"requestid": "%s"}' % str(REQUEST).encode(), None, REQUEST),
        (b"junk", str(REQUEST).encode(), REQUEST),
        (b'{"requestid": 7}', b"\xff", None),
        (b"[]", None, None),
    ],
)
def test_the_request_is_told_by_the_value_or_the_key(value: bytes, key: bytes | None, request_id: UUID | None) -> None:
    assert letter_of(letter(value, key=key)).request_id == request_id


@pytest.mark.parametrize(
    ("value", "error", "source_object"),
    [
        (b"{}", "SOURCE_OBJECT_UNREADABLE: raw/a.json.gz: it is cut", "raw/a.json.gz"),
        (b'{"error": {"object": "raw/b.json.gz"}}', "why", "raw/b.json.gz"),
        (b'{"error": {"object": 7}}', "why", ""),
        (b'{"error": "odd"}', "why: raw/a: x", ""),
    ],
)
def test_the_source_object_is_told_by_a_failure_or_by_the_error(value: bytes, error: str, source_object: str) -> None:
    assert letter_of(letter(value, error=error)).object == source_object


def test_a_replay_is_the_record_and_says_that_it_is_one() -> None:
    replay = replay_of(letter(b"\x00"))
    assert (replay.topic, replay.key, replay.value) == ("dataset.days", b"k", b"\x00")
    assert replay.headers == [*OWN, ("dl_replays", b"1"), ("dl_redriven_from", b"1/5")]


def test_a_replay_of_a_replay_counts_on() -> None:
    again = letter(headers=(*OWN, ("dl_replays", b"1"), ("dl_redriven_from", b"0/1")))
    assert letter_of(again).replays == 1
    assert replay_of(again).headers == [*OWN, ("dl_replays", b"2"), ("dl_redriven_from", b"1/5")]


def test_headers_that_a_sender_made_up_do_not_decide() -> None:
    forged = letter(headers=(("dl_topic", b"elsewhere"), ("dl_code", b"X"), ("dl_replays", b"-1"), *OWN))
    found, replay = letter_of(forged), replay_of(forged)
    assert (found.topic, found.code, found.replays) == ("dataset.days", "SCHEMA", 0)
    assert replay.topic == "dataset.days"
    assert replay.headers[:2] == [("dl_topic", b"elsewhere"), ("dl_code", b"X")]
