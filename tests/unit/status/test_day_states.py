"""The state of a day from its archive and its requests, and the estimate of a request."""

from datetime import UTC, date, datetime, timedelta

import pytest

from exhaust.postgres.asked_days import AskedDay
from services.status.day_records import BuiltDay, DayRecord
from services.status.day_states import DayState, known_day
from services.status.estimates import estimated_bytes, in_seconds
from services.status.eta import Remaining

DAY, TODAY = date(2026, 11, 1), date(2026, 11, 3)
BUILT_AT = datetime(2026, 11, 2, 5, tzinfo=UTC)
FULL, NOBODYS, NOTHING = DayRecord(3, 300, 900, 2), DayRecord(0, 0, 22, 2), DayRecord(0, 0, 22, 0)
IDLE, WANTED = AskedDay(building=False, failed_at=None), AskedDay(building=True, failed_at=None)
BEFORE, AFTER = (AskedDay(building=False, failed_at=BUILT_AT + timedelta(hours=hours)) for hours in (-1, 1))


@pytest.mark.parametrize(
    ("record", "asked", "state"),
    [
        (FULL, IDLE, DayState.READY),
        (NOBODYS, IDLE, DayState.EMPTY),
        (NOTHING, IDLE, DayState.MISSING),
        (FULL, WANTED, DayState.READY),
        (FULL, BEFORE, DayState.READY),
        (FULL, AFTER, DayState.UNREADABLE),
        (None, None, DayState.UNKNOWN),
        (None, IDLE, DayState.UNKNOWN),
        (None, WANTED, DayState.BUILDING),
        (None, BEFORE, DayState.UNREADABLE),
        (None, AskedDay(building=True, failed_at=BUILT_AT), DayState.BUILDING),
    ],
)
def test_a_day_is_what_came_last(record: DayRecord | None, asked: AskedDay | None, state: DayState) -> None:
    known = known_day(DAY, BuiltDay(record, BUILT_AT) if record else None, asked, today=TODAY)
    assert known.state is state
    shown = known.to_json()
    assert shown["built"] is (state in {DayState.READY, DayState.EMPTY, DayState.MISSING})
    assert (shown["events"] is None) is not shown["built"]


@pytest.mark.parametrize("day", [TODAY, TODAY + timedelta(days=1)])
def test_a_day_that_is_not_over_is_open(day: date) -> None:
    assert known_day(day, BuiltDay(FULL, BUILT_AT), WANTED, today=TODAY).state is DayState.OPEN


@pytest.mark.parametrize(
    ("least", "most", "told"),
    [(0.0, 2.0, (0, 2)), (0.9, 0.95, (0, 1)), (3.0, 3.0, (3, 4)), (1.2, 60.01, (1, 61))],
)
def test_whole_seconds_hold_a_forecast(least: float, most: float, told: tuple[int, int]) -> None:
    found = in_seconds(Remaining(timedelta(seconds=least), timedelta(seconds=most)))
    assert (found.least, found.most) == told


def test_the_size_of_what_is_built_is_known_but_for_its_frame() -> None:
    found = estimated_bytes([FULL, FULL], 0, [FULL])
    assert found is not None
    assert found.least == 1800
    assert found.least < found.most < 1800 + 10_000


def test_the_size_of_other_days_is_judged_by_those_that_are_built() -> None:
    assert estimated_bytes([], 2, []) is None
    found = estimated_bytes([], 2, [FULL, DayRecord(9, 900, 2700, 1)])
    assert found is not None
    assert found.least <= 2 * 900
    assert found.most >= 2 * 2700
