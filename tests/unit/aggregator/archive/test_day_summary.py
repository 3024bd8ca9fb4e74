from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.aggregator.archive.day_summary import DaySummary, SourceSummary, UnreadableLine

QUICK = settings(max_examples=40, deadline=None)
COUNTS = st.integers(0, 2**53 - 1)
SOURCES = st.builds(SourceSummary, st.text(min_size=1), st.text(), COUNTS, COUNTS, COUNTS, COUNTS)
SUMMARY = DaySummary(
    day=date(2026, 11, 1),
    key="days/D001/r/2026-11-01/00ff.zip",
    size=1234,
    crc32=2**32 - 1,
    sha256="0" * 64,
    events=3,
    bytes=300,
    unreadable=1,
    duplicates=0,
    versions={"3.0": 3},
    unreadable_lines=(UnreadableLine("public/r/2026-11-01-1793500000000.json.gz", 4),),
    sources=(SourceSummary("public/r/2026-11-01-1793500000000.json.gz", '"aa"', 99, 3, 300, 1),),
    first_received="2026-11-01T02:26:40.000Z",
    last_received=None,
    first_event="2026-11-01T02:26:39.000Z",
    last_event=None,
)


def changed(**fields: object) -> bytes:
    return json.dumps(json.loads(SUMMARY.to_json()) | fields).encode()


@QUICK
@given(st.dates(), COUNTS, st.lists(SOURCES, max_size=3), st.sampled_from([None, "2026-11-01T02:26:40.000Z"]))
def test_a_summary_comes_back(day: date, count: int, sources: list[SourceSummary], received: str | None) -> None:
    summary = replace(SUMMARY, day=day, events=count, sources=tuple(sources), first_received=received)
    assert DaySummary.from_json(summary.to_json()) == summary


def test_a_checksum_may_be_0() -> None:
    summary = replace(SUMMARY, crc32=0)
    assert DaySummary.from_json(summary.to_json()) == summary


def test_a_summary_is_plain_json() -> None:
    plain = json.loads(SUMMARY.to_json())
    assert plain["day"] == "2026-11-01"
    assert plain["sources"][0]["etag"] == '"aa"'
    assert list(plain) == list(DaySummary.__dataclass_fields__)


def test_unknown_fields_of_a_later_version_are_ignored() -> None:
    assert DaySummary.from_json(changed(later=1)) == SUMMARY


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"day": "2026-02-30"}, "day"),
        ({"day": 20}, "day"),
        ({"key": ""}, "key"),
        ({"size": -1}, "size"),
        ({"size": "1"}, "size"),
        ({"size": 1.5}, "size"),
        ({"size": True}, "size"),
        ({"crc32": 2**32}, "crc32"),
        ({"crc32": -1}, "crc32"),
        ({"sha256": "F" * 64}, "sha256"),
        ({"events": None}, "events"),
        ({"bytes": 2**53}, "bytes"),
        ({"sources": {}}, "sources"),
        ({"sources": [{"object": "a"}]}, r"sources\.0\.etag"),
        ({"first_received": "yesterday"}, "first_received"),
        ({"last_received": "2026-11-01T02:26:40.000+05:30"}, "last_received"),
    ],
)
def test_a_wrong_field_is_named(fields: dict[str, Any], where: str) -> None:
    with pytest.raises(ValueError, match=f"^day summary: {where}: "):
        DaySummary.from_json(changed(**fields))


@pytest.mark.parametrize("field", [name for name in DaySummary.__dataclass_fields__ if name != "tags"])
def test_a_missing_field_is_named(field: str) -> None:
    plain = json.loads(SUMMARY.to_json())
    del plain[field]
    with pytest.raises(ValueError, match=f"^day summary: {field}: "):
        DaySummary.from_json(json.dumps(plain).encode())


@QUICK
@given(st.binary() | st.sampled_from([b"", b"[]", b"null", b'"a"', b"{", b"\xff", SUMMARY.to_json()[:-1]]))
def test_what_is_no_summary_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"^day summary: "):
        DaySummary.from_json(data)


def test_a_summary_of_an_earlier_version_does_not_say_its_tags() -> None:
    plain = json.loads(replace(SUMMARY, tags=("a",)).to_json())
    assert plain.pop("tags") == ["a"]
    assert DaySummary.from_json(json.dumps(plain).encode()).tags is None
