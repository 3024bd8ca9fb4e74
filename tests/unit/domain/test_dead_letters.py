"""The names of dead letters, their causes, and which of them may be redriven."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from exhaust.domain.dead_letters import (
    MAX_REPLAYS,
    TARGET_TOPICS,
    Letter,
    LetterFilter,
    LetterPlace,
    causes_of,
    redrive_refusal,
)
from exhaust.errors import ErrorCode, ExhaustError
from schemas.events import TOPIC_COMPLETIONS, TOPIC_DAYS, TOPIC_DEAD_LETTERS, TOPIC_REQUESTS

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
REQUEST = UUID(int=7)
LETTER = Letter(
    place=LetterPlace(3, 1042),
    written_at=NOON,
    topic=TOPIC_DAYS,
    record_partition=1,
    record_offset=9,
    group="aggregator-build",
    code="WORK_FAILED",
    pointer="",
    error="x",
    source="/telemetry-exhaust/aggregator",
    request_id=REQUEST,
    object="raw/a.json.gz",
    size=10,
    digest=b"",
    truncated="",
    replays=0,
)


def test_a_letter_is_named_by_its_place() -> None:
    assert str(LetterPlace(3, 1042)) == "3/1042"
    assert LetterPlace.parse("3/1042") == LetterPlace(3, 1042)
    assert LetterPlace.parse(f"{10**9 - 1}/{10**18 - 1}") == (10**9 - 1, 10**18 - 1)


@pytest.mark.parametrize("text", ["", "3", "3/", "/3", "3/1042/1", "-3/1", "3/ 1", "٣/1", f"{10**9}/1", f"1/{10**18}"])
def test_what_is_no_place_is_refused(text: str) -> None:
    with pytest.raises(ExhaustError, match="such as 3/1042") as refused:
        LetterPlace.parse(text)
    assert refused.value.code is ErrorCode.INVALID_DATA_ERROR


@pytest.mark.parametrize("topic", [TOPIC_REQUESTS, TOPIC_DAYS, TOPIC_COMPLETIONS])
def test_a_letter_of_a_topic_of_ours_may_be_redriven(topic: str) -> None:
    assert topic in TARGET_TOPICS
    assert redrive_refusal(replace(LETTER, topic=topic, replays=MAX_REPLAYS - 1)) == ""


@pytest.mark.parametrize(
    ("letter", "why"),
    [
        (replace(LETTER, topic=TOPIC_DEAD_LETTERS), "it names no topic of ours to go to ('dataset.dead-letters')"),
        (replace(LETTER, topic=""), "it names no topic of ours to go to ('')"),
        (replace(LETTER, topic="x" * 1000), f"it names no topic of ours to go to ({'x' * 100!r})"),
        (replace(LETTER, truncated="value,key"), "it was cut (value,key), so it is not the record any more"),
        (replace(LETTER, code="UNREADABLE"), "it could not be read, so it is not byte for byte the record that came"),
        (replace(LETTER, code="TOMBSTONE"), "the record had no value, and no topic of ours takes such"),
        (replace(LETTER, replays=3), "it was redriven 3 times already; 3 are the most"),
        (replace(LETTER, replays=7), "it was redriven 7 times already; 3 are the most"),
    ],
)
def test_others_are_refused_with_the_reason(letter: Letter, why: str) -> None:
    assert redrive_refusal(letter) == why


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (LetterFilter(), True),
        (LetterFilter(code="WORK_FAILED", source=LETTER.source, topic=TOPIC_DAYS, request_id=REQUEST), True),
        (LetterFilter(source_object="raw/a.json.gz", since=NOON), True),
        (LetterFilter(since=NOON - timedelta(seconds=1)), True),
        (LetterFilter(code="INTERNAL"), False),
        (LetterFilter(source="/somebody"), False),
        (LetterFilter(source_object=""), False),
        (LetterFilter(topic=TOPIC_REQUESTS), False),
        (LetterFilter(request_id=UUID(int=8)), False),
        (LetterFilter(since=NOON + timedelta(seconds=1)), False),
    ],
)
def test_a_filter_finds_what_meets_all_its_conditions(wanted: LetterFilter, *, found: bool) -> None:
    assert wanted.matches(LETTER) is found


def test_a_letter_without_a_time_is_found_unless_a_time_is_wanted() -> None:
    timeless = replace(LETTER, written_at=None)
    assert LetterFilter().matches(timeless)
    assert not LetterFilter(since=NOON).matches(timeless)


def test_letters_are_counted_by_cause_and_the_latest_cause_comes_first() -> None:
    later = NOON + timedelta(hours=1)
    other = replace(LETTER, code="INTERNAL", written_at=NOON - timedelta(hours=1))
    timeless = replace(LETTER, object="", written_at=None)
    causes = causes_of([other, LETTER, timeless, replace(LETTER, written_at=later)])
    assert [(cause.code, cause.object, cause.letters, cause.waiting) for cause in causes] == [
        ("WORK_FAILED", "raw/a.json.gz", 2, 2),
        ("INTERNAL", "raw/a.json.gz", 1, 1),
        ("WORK_FAILED", "", 1, 1),
    ]
    assert (causes[0].source, causes[0].topic) == (LETTER.source, TOPIC_DAYS)
    assert [(cause.first, cause.latest) for cause in causes] == [
        (NOON, later),
        (other.written_at, other.written_at),
        (None, None),
    ]
