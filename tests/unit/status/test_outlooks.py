"""The sentences and forecasts for requests in progress."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exhaust.domain.days import DayRange
from exhaust.domain.state_machine import State
from exhaust.postgres.partner_lines import Pace, PartnerLine, Waiting
from exhaust.postgres.pauses import PausedKind
from exhaust.postgres.request_views import RequestView
from services.status.because import builds_because, of_attempt, waits_because
from services.status.eta import (
    MARGIN,
    STILL_TO_COME,
    Remaining,
    before_submit,
    once_released,
    while_building,
    while_joining,
    while_waiting,
)

NOW = datetime(2026, 11, 10, 12, tzinfo=UTC)
FIRST = date(2026, 11, 1)
LIMIT = 4
HOUR = timedelta(hours=1)
PACE = Pace(timedelta(seconds=1), timedelta(seconds=4))


def ago(**durations: float) -> datetime:
    return NOW - timedelta(**durations)


VIEW = RequestView(
    request_id=UUID("11111111-0000-4000-8000-000000000000"),
    user_id=1,
    partner_id="maple",
    username="asha",
    dataset="eks-consumption-raw",
    resource="r",
    days=DayRange(FIRST, FIRST + timedelta(days=9)),
    tags=(),
    created_at=ago(minutes=2),
    ended_at=None,
    state=State.INPROGRESS,
    attempt=1,
    days_done=0,
    events=0,
    bytes=0,
    outcome=None,
    partner="r",
    waiting_since=None,
    claimed=False,
    parked=False,
    moved_at=ago(seconds=10),
    released_at=ago(seconds=60),
    told_position=None,
    seen_at=NOW,
)
WAITS = replace(VIEW, state=State.SUBMITTED, waiting_since=ago(seconds=10), released_at=None)
QUIET = (
    "3 of its 10 days are finished; the last sign of progress was 7 min ago, and after 60 min without one it is tried"
    " again"
)
THIRD = Waiting(turn=3, days=10, days_before=12, paused=None)
FULL = PartnerLine(at_work=[1, 2, 3, 4])


@pytest.mark.parametrize(
    ("view", "waiting", "line", "position", "sentence"),
    [
        (WAITS, THIRD, FULL, 3, "4 of your requests are at work, the most at a time; this is your 3rd in line"),
        (WAITS, THIRD, FULL, 1, "4 of your requests are at work, the most at a time; this is the next one"),
        (WAITS, THIRD, PartnerLine(at_work=[1]), 3, "its turn has come, and it is handed to the workers in a moment"),
        (WAITS, None, FULL, 1, "its turn has come, and it is being handed to the workers"),
        (
            replace(WAITS, waiting_since=ago(minutes=5)),
            THIRD,
            PartnerLine(),
            3,
            "its turn has come, but it cannot be handed to the workers now; it goes on by itself",
        ),
        (
            WAITS,
            replace(THIRD, paused=PausedKind.DATASET),
            FULL,
            3,
            "the operators have paused this dataset for now; it keeps its place and goes on by itself",
        ),
        (
            WAITS,
            replace(THIRD, paused=PausedKind.PARTNER),
            FULL,
            3,
            "the operators have paused your requests for now; it keeps its place and goes on by itself",
        ),
    ],
)
def test_a_request_that_waits_says_for_what(
    view: RequestView, waiting: Waiting | None, line: PartnerLine, position: int, sentence: str
) -> None:
    assert waits_because(view, waiting, line, position, LIMIT) == sentence


def test_a_limit_of_one_is_told_in_the_singular() -> None:
    told = waits_because(WAITS, THIRD, PartnerLine(at_work=[7]), 2, 1)
    assert told == "1 of your requests is at work, the most at a time; this is your 2nd in line"


@pytest.mark.parametrize(
    ("view", "sentence"),
    [
        (VIEW, "its days are being built"),
        (replace(VIEW, days_done=1), "1 of its 10 days is finished"),
        (replace(VIEW, days_done=3), "3 of its 10 days are finished"),
        (replace(VIEW, days_done=10), "all of its days are finished, and are being joined into one download"),
        (
            replace(VIEW, days_done=3, moved_at=ago(minutes=7)),
            QUIET,
        ),
    ],
)
def test_a_request_at_work_says_how_far_it_is(view: RequestView, sentence: str) -> None:
    assert builds_because(view, HOUR) == sentence


def test_a_request_that_was_started_again_says_so() -> None:
    again = of_attempt(replace(VIEW, attempt=2), "its days are being built")
    assert again == "its days are being built; this is attempt 2, because the one before did not succeed"
    assert of_attempt(VIEW, "x") == "x"


def test_without_anything_to_go_by_there_is_no_forecast() -> None:
    assert while_building(VIEW, None) is None
    assert while_waiting(THIRD, FULL, None, 10) is None
    assert once_released(None, 10) is None


def test_its_own_pace_counts_once_a_day_is_finished() -> None:
    half_way = while_building(replace(VIEW, days_done=5), PACE)
    assert half_way is not None
    assert half_way.least < timedelta(seconds=60) < half_way.most
    assert half_way == while_building(replace(VIEW, days_done=5), None)


def test_whoever_waits_longer_in_line_is_told_a_later_end() -> None:
    first = while_waiting(replace(THIRD, turn=1, days_before=0), FULL, PACE, 10)
    third = while_waiting(THIRD, FULL, PACE, 10)
    released = once_released(PACE, 10)
    assert first is not None
    assert third is not None
    assert released is not None
    assert released.least <= first.least < third.least
    assert released.most < first.most < third.most


def before(told: Remaining | None) -> Remaining | None:
    return told and replace(told, most=told.most * STILL_TO_COME)


def test_an_estimate_goes_by_what_the_status_tells_of_the_same_request() -> None:
    free = PartnerLine(at_work=[3] * (LIMIT - 1))
    assert before_submit(PACE, free, 10, 10, max_in_flight=LIMIT) == before(once_released(PACE, 10))
    behind = PartnerLine(at_work=[3] * LIMIT, waiting={UUID(int=1): Waiting(1, 2, 0, None)})
    waiting = while_waiting(Waiting(2, 10, 2, None), behind, PACE, 10)
    assert before_submit(PACE, behind, 10, 10, max_in_flight=LIMIT) == before(waiting)
    assert before_submit(None, behind, 10, 10, max_in_flight=LIMIT) is None


def test_an_estimate_waits_for_neither_longer_nor_paused_requests() -> None:
    others = {UUID(int=1): Waiting(1, 31, 0, None), UUID(int=2): Waiting(1, 1, 0, PausedKind.DATASET)}
    line = PartnerLine(at_work=[3] * (LIMIT - 1), waiting=others)
    assert before_submit(PACE, line, 10, 10, max_in_flight=LIMIT) == before(once_released(PACE, 10))


@given(st.integers(1, 31))
def test_the_more_days_are_built_the_sooner_a_request_ends(days: int) -> None:
    ranges = [once_released(PACE, days, to_build) for to_build in range(days + 1)]
    ends = [(found.least, found.most) for found in ranges if found is not None]
    assert ends == sorted(ends)
    assert all(least < most for least, most in ends)
    assert ranges[-1] == once_released(PACE, days)


@given(st.integers(0, 10), st.floats(0, 1e6), st.floats(0, 1e6), st.none() | st.just(PACE))
def test_a_range_lies_ahead_and_its_ends_are_in_order(
    done: int, released: float, quiet: float, pace: Pace | None
) -> None:
    view = replace(VIEW, days_done=done, released_at=ago(seconds=released), moved_at=ago(seconds=quiet))
    found = while_joining(view) if done == len(view.days) else while_building(view, pace)
    if found is None:
        return
    told = found.to_json(NOW)
    earliest, latest = (datetime.fromisoformat(told[name]) for name in ("earliest", "latest"))
    assert NOW - timedelta(milliseconds=1) <= earliest < latest


def test_a_request_that_takes_longer_than_others_did_is_not_told_an_end_in_the_past() -> None:
    for seconds in itertools.accumulate([60] * 20):
        found = while_building(replace(VIEW, released_at=ago(seconds=seconds)), PACE)
        assert found is not None
        assert found.most > timedelta(seconds=seconds) * (MARGIN - 1)
