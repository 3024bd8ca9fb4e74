"""Events that are built follow the contract, and are the same however often they are built."""

from __future__ import annotations

import json
from datetime import date, datetime, timezone
from uuid import UUID

import pytest

from exhaust_contract import Event, RefusedEventError, check, completed, failed, progressed
from exhaust_contract.builders import Day

REQUEST = UUID("7d0b1c57-3c52-4a2c-8f0a-5f0c4f6f6c11")
DAY = Day(date(2026, 11, 2), events=1200, bytes=811_200)


def done(attempt: int = 1, source: str = "/spark", request: UUID = REQUEST) -> Event:
    return completed(
        request,
        attempt,
        source=source,
        key=f"requests/{request}/attempt-{attempt}/november.zip",
        size=98_304,
        sha256="0" * 64,
        events=3600,
        bytes=2_433_600,
    )


def test_what_is_built_is_right() -> None:
    for event in (
        progressed(REQUEST, 1, source="/spark", daystotal=3),
        progressed(REQUEST, 1, source="/spark", daystotal=3, day=DAY),
        done(),
        failed(REQUEST, 1, source="/spark", code="WORK_FAILED", message="out of memory"),
    ):
        assert check(event.headers, event.value).value["requestid"] == str(REQUEST)
        assert (event.topic, event.key) == ("dataset.completions", str(REQUEST).encode())


def test_the_same_happening_has_the_same_id_and_value() -> None:
    first, second = done(), done()
    assert (first.id, first.value) == (second.id, second.value)


def test_other_happenings_have_other_ids() -> None:
    ids = [
        done().id,
        done(attempt=2).id,
        done(source="/flink").id,
        done(request=UUID(int=7)).id,
        progressed(REQUEST, 1, source="/spark", daystotal=3).id,
        progressed(REQUEST, 1, source="/spark", daystotal=3, day=DAY).id,
        failed(REQUEST, 1, source="/spark", code="X", message="x").id,
        failed(REQUEST, 1, source="/spark", code="X", message="x", day=DAY.day).id,
    ]
    assert len(set(ids)) == len(ids)
    assert {UUID(id_).version for id_ in ids} == {5}


def test_ids_stay_the_same_from_release_to_release() -> None:
    assert done().id == "9de4f1e4-f698-5d50-96ca-b0dc92fc3c4e"


def test_the_time_is_no_part_of_what_counts() -> None:
    at = datetime(2026, 11, 30, tzinfo=timezone.utc)
    event = progressed(REQUEST, 1, source="/spark", daystotal=3, time=at)
    assert dict(event.headers)["ce_time"] == b"2026-11-30T00:00:00+00:00"
    assert event.value == progressed(REQUEST, 1, source="/spark", daystotal=3).value


def test_what_would_be_refused_is_refused_at_once() -> None:
    with pytest.raises(RefusedEventError) as refused:
        progressed(REQUEST, 0, source="/spark", daystotal=3)
    assert (refused.value.code.value, refused.value.pointer) == ("SCHEMA", "/attempt")
    with pytest.raises(RefusedEventError, match="ce_source"):
        progressed(REQUEST, 1, source="my job", daystotal=3)


def test_an_empty_day_says_so() -> None:
    event = progressed(REQUEST, 1, source="/spark", daystotal=1, day=Day(date(2026, 11, 1), events=0, bytes=0))
    assert json.loads(event.value)["day"]["state"] == "empty"
