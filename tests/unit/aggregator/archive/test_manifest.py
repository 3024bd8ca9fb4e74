from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exhaust.domain.days import DayRange
from exhaust.errors import FAILURE_SENTENCES, ErrorCode
from schemas.events import FailedDay
from services.aggregator.archive.day_summary import DaySummary, SourceSummary, UnreadableLine
from services.aggregator.archive.manifest import manifest_json

QUICK = settings(max_examples=20, deadline=None)
SCHEMAS = Path(__file__).parents[4] / "schemas"
SCHEMA = jsonschema_rs.validator_for(json.loads((SCHEMAS / "manifest.schema.json").read_text()), validate_formats=True)
RESOURCE = "fd001eaba2e5b79b814446307d709ee2"
FIRST = date(2026, 11, 1)
FULL = DaySummary(
    day=FIRST,
    key=f"days/eks-consumption-raw/{RESOURCE}/2026-11-01/00ff.zip",
    size=48_211,
    crc32=7,
    sha256="5e" * 32,
    events=1_204,
    bytes=612_800,
    unreadable=2,
    duplicates=0,
    versions={"3.0": 1_204},
    unreadable_lines=(
        UnreadableLine("raw/2026-11-01-1793493000000.json.gz", 17),
        UnreadableLine("raw/2026-11-01-1793493000000.json.gz", 18),
    ),
    sources=(
        SourceSummary(
            "raw/2026-11-01-1793493000000.json.gz",
            '"9b2cf535f27731c974343645a3985328"',
            90_112,
            804,
            409_100,
            0,
            "2026-11-01-1793493000000.json",
        ),
        SourceSummary(
            "raw/2026-11-01-1793533600000.json.gz",
            '"e4da3b7fbbce2345d7772b0674a318d5"',
            61_440,
            400,
            203_700,
            2,
            "2026-11-01-1793533600000.json",
        ),
    ),
    first_received="2026-11-01T00:30:00.000Z",
    last_received="2026-11-01T11:46:40.000Z",
    first_event="2026-11-01T00:30:00.000Z",
    last_event="2026-11-01T11:46:40.000Z",
)
EMPTY = DaySummary(
    day=FIRST + timedelta(days=1),
    key=f"days/eks-consumption-raw/{RESOURCE}/2026-11-02/00ff.zip",
    size=22,
    crc32=8,
    sha256="ab" * 32,
    events=0,
    bytes=0,
    unreadable=0,
    duplicates=0,
    versions={},
    unreadable_lines=(),
    sources=(),
    first_received=None,
    last_received=None,
    first_event=None,
    last_event=None,
)
TWO_DAYS = DayRange(FIRST, FIRST + timedelta(days=1))
COUNTS = st.integers(0, 2**40)
SOURCES = st.builds(
    SourceSummary,
    st.text("abc/", min_size=1).map(lambda key: f"{key}x"),
    st.text(),
    COUNTS,
    COUNTS,
    COUNTS,
    COUNTS,
    st.none() | st.text(min_size=1),
)


def manifest(*summaries: DaySummary, days: DayRange = TWO_DAYS, tags: tuple[str, ...] = ("class-5",)) -> bytes:
    return manifest_json("eks-consumption-raw", RESOURCE, days, tags, summaries)


def test_the_published_example_is_what_is_made() -> None:
    assert manifest(FULL, EMPTY) == (SCHEMAS / "manifest.example.json").read_bytes()


FAILED = FailedDay(day=EMPTY.day, code="LIMIT_EXCEEDED", message=FAILURE_SENTENCES[ErrorCode.LIMIT_EXCEEDED])


def test_the_published_example_of_a_partial_download_is_what_is_made() -> None:
    made = manifest_json("eks-consumption-raw", RESOURCE, TWO_DAYS, ("class-5",), [FULL], [FAILED])
    assert made == (SCHEMAS / "manifest.partial.example.json").read_bytes()
    SCHEMA.validate(json.loads(made))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("partial",), False),
        (("totals", "missing"), 0),
        (("days", 1, "state"), "empty"),
        (("days", 1, "code"), "a reason"),
        (("days", 1, "events"), 0),
        (("days", 0, "code"), "LIMIT_EXCEEDED"),
    ],
)
def test_the_schema_refuses_an_undocumented_partial_manifest(path: tuple[str | int, ...], value: object) -> None:
    made: Any = json.loads((SCHEMAS / "manifest.partial.example.json").read_bytes())
    place = made
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    assert not SCHEMA.is_valid(made)


@pytest.mark.parametrize("name", ["partial", "missing"])
def test_a_manifest_says_that_it_is_partial_just_when_a_day_failed(name: str) -> None:
    partial: Any = json.loads((SCHEMAS / "manifest.partial.example.json").read_bytes())
    whole: Any = json.loads((SCHEMAS / "manifest.example.json").read_bytes())
    place, value = ("totals", 1) if name == "missing" else ("", True)
    (partial[place] if place else partial).pop(name)
    (whole[place] if place else whole)[name] = value
    assert not SCHEMA.is_valid(partial)
    assert not SCHEMA.is_valid(whole)


@pytest.mark.parametrize("failed", [(), (FAILED, FAILED), (FAILED.model_copy(update={"day": FIRST}),)])
def test_a_partial_manifest_tells_each_day_once(failed: tuple[FailedDay, ...]) -> None:
    with pytest.raises(ValueError, match="needs one summary for each day"):
        manifest_json("eks-consumption-raw", RESOURCE, TWO_DAYS, (), [FULL], failed)


@QUICK
@given(st.lists(st.tuples(COUNTS, COUNTS, st.lists(SOURCES, max_size=3)), min_size=1, max_size=31))
def test_every_manifest_follows_the_schema(days: list[tuple[int, int, list[SourceSummary]]]) -> None:
    summaries = [
        replace(
            FULL if events else EMPTY,
            day=FIRST + timedelta(days=number),
            events=events,
            unreadable=unreadable,
            sources=tuple(sources),
        )
        for number, (events, unreadable, sources) in enumerate(days)
    ]
    made = json.loads(manifest(*summaries, days=DayRange(FIRST, summaries[-1].day)))
    SCHEMA.validate(made)
    assert made["totals"]["days"] == len(days)
    assert made["totals"]["events"] == sum(events for events, _, _ in days)
    assert made["totals"]["unreadable"] == sum(unreadable for _, unreadable, _ in days)
    assert [day["state"] for day in made["days"]] == ["ok" if events else "empty" for events, _, _ in days]


def test_order_does_not_change_it() -> None:
    assert manifest(EMPTY, FULL, tags=("b", "a", "b")) == manifest(FULL, EMPTY, tags=("a", "b"))


def test_it_shows_no_layout_of_the_buckets() -> None:
    text = manifest(FULL, EMPTY).decode()
    assert "raw/" not in text
    assert "days/" not in text
    assert "00ff" not in text


@pytest.mark.parametrize(
    "summaries", [(), (FULL,), (FULL, FULL), (FULL, EMPTY, EMPTY), (FULL, replace(EMPTY, day=date(2026, 11, 3)))]
)
def test_it_needs_one_summary_for_each_day(summaries: tuple[DaySummary, ...]) -> None:
    with pytest.raises(ValueError, match="a manifest of 2026-11-01 to 2026-11-02 needs one summary for each day"):
        manifest(*summaries)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("other",), 1),
        (("request", "requestid"), "x"),
        (("days", 0, "key"), "x"),
        (("days", 0, "sources", 0, "object"), "raw/x"),
        (("days", 0, "state"), "empty"),
        (("days", 1, "state"), "ok"),
        (("days", 0, "day"), "2026-02-30"),
        (("days", 0, "firstreceived"), "2026-11-01"),
        (("totals", "events"), -1),
    ],
)
def test_the_schema_refuses_what_is_not_documented(path: tuple[str | int, ...], value: object) -> None:
    made: Any = json.loads(manifest(FULL, EMPTY))
    place = made
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    assert not SCHEMA.is_valid(made)


def test_an_error_lists_the_days_that_there_are() -> None:
    with pytest.raises(ValueError, match=r"but has those of none$"):
        manifest()
    with pytest.raises(ValueError, match=r"but has those of 2026-11-01, 2026-11-02$"):
        manifest(EMPTY, FULL, days=DayRange(FIRST, FIRST))


def test_two_days_of_three_are_a_partial_manifest() -> None:
    missing = FAILED.model_copy(update={"day": FIRST + timedelta(days=2)})
    days = DayRange(FIRST, missing.day)
    made = json.loads(manifest_json("eks-consumption-raw", RESOURCE, days, (), [EMPTY, FULL], [missing]))
    assert [day["day"] for day in made["days"]] == ["2026-11-01", "2026-11-02", "2026-11-03"]
    assert (made["totals"]["days"], made["totals"]["missing"]) == (2, 1)
