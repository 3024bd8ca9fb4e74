from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exhaust.domain.days import FIRST_DAY, MAX_DAYS, DayRange, newest_closed_day, parse_day, requested_days, today_in
from exhaust.errors import ErrorCode, ExhaustError

TODAY = date(2026, 11, 22)
YESTERDAY = date(2026, 11, 21)


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        (None, None, DayRange(YESTERDAY, YESTERDAY)),
        ("2026-11-20", None, DayRange(date(2026, 11, 20), YESTERDAY)),
        ("2026-11-01", "2026-11-01", DayRange(date(2026, 11, 1), date(2026, 11, 1))),
        ("2026-10-22", "2026-11-21", DayRange(date(2026, 10, 22), YESTERDAY)),
        ("2024-02-29", "2024-03-01", DayRange(date(2024, 2, 29), date(2024, 3, 1))),
    ],
)
def test_ranges_that_may_be_asked_for(first: str | None, last: str | None, expected: DayRange) -> None:
    assert requested_days(first, last, today=TODAY) == expected


@pytest.mark.parametrize(
    ("first", "last", "code"),
    [
        ("2026-02-30", "2026-03-01", ErrorCode.INVALID_DATE),
        ("2026-11-03", "2026-11-01", ErrorCode.INVALID_DATE),
        ("2026-11-01", "2026-11-22", ErrorCode.INVALID_DATE),
        ("2026-11-22", None, ErrorCode.INVALID_DATE),
        ("2026-11-30", "2026-11-30", ErrorCode.INVALID_DATE),
        ("2026-10-21", "2026-11-21", ErrorCode.DATE_RANGE_TOO_LARGE),
        ("1970-01-01", "2026-11-21", ErrorCode.DATE_RANGE_TOO_LARGE),
        ("0001-01-01", "2026-11-21", ErrorCode.INVALID_DATE),
        ("0001-01-01", "0001-01-01", ErrorCode.INVALID_DATE),
        ("1969-12-31", "1970-01-01", ErrorCode.INVALID_DATE),
        ("-infinity", "2026-11-21", ErrorCode.INVALID_DATE),
        ("20261101", "2026-11-02", ErrorCode.INVALID_DATE),
        ("2026-W44-1", "2026-11-02", ErrorCode.INVALID_DATE),
        ("2026-11-1", "2026-11-02", ErrorCode.INVALID_DATE),
        ("٢٠٢٦-١١-٠١", "2026-11-02", ErrorCode.INVALID_DATE),
        ("2026-11-01\n", "2026-11-02", ErrorCode.INVALID_DATE),
        ("", "2026-11-02", ErrorCode.INVALID_DATE),
    ],
)
def test_ranges_that_are_refused(first: str | None, last: str | None, code: ErrorCode) -> None:
    with pytest.raises(ExhaustError) as refused:
        requested_days(first, last, today=TODAY)
    assert refused.value.code is code


@given(st.dates(), st.integers(min_value=1, max_value=31))
def test_a_range_lists_its_days_in_order(first: date, length: int) -> None:
    if (date.max - first).days < length:
        return
    days = DayRange(first, first + timedelta(days=length - 1))
    listed = list(days)
    assert len(days) == len(listed) == length
    assert listed == sorted(set(listed))
    assert (listed[0], listed[-1]) == (days.first, days.last)


@given(st.text(max_size=12))
def test_whatever_is_written_is_a_day_or_a_clear_error(text: str) -> None:
    try:
        assert parse_day(text, "fromDate").isoformat() == text
    except ExhaustError as error:
        assert error.code is ErrorCode.INVALID_DATE
        assert "fromDate" in error.message


@pytest.mark.parametrize(
    ("first", "days", "requestable"),
    [
        (FIRST_DAY, 1, True),
        (FIRST_DAY, 31, True),
        (FIRST_DAY, 32, False),
        (FIRST_DAY - timedelta(days=1), 2, False),
        (date(2026, 11, 2), 0, False),
        (date(2026, 11, 2), -1, False),
        (date(2026, 11, 2), 2, True),
        (date(2024, 2, 1), 30, True),
        (date.min, 1, False),
        (date.max - timedelta(days=1), 1, True),
        (date.max - timedelta(days=1), 2, False),
        (date.max, 1, False),
    ],
)
def test_a_range_that_a_request_may_have(first: date, days: int, *, requestable: bool) -> None:
    assert (date(1970, 1, 1), 31) == (FIRST_DAY, MAX_DAYS)
    assert DayRange(first, first + timedelta(days=days - 1)).is_requestable is requestable


def test_a_refused_range_says_what_is_wrong() -> None:
    for first, last, sentence in (
        ("2026-11-01", "2026-11-22", "toDate 2026-11-22 must be before today, 2026-11-22"),
        ("1969-12-31", "1970-01-02", "fromDate 1969-12-31 must not be before 1970-01-01"),
        ("2026-11-02", "2026-11-01", "fromDate 2026-11-02 must not be after toDate 2026-11-01"),
        ("2026-10-21", "2026-11-21", "32 days were requested; ask for at most 31 at once"),
        ("x", None, "fromDate must be a day of the calendar written as YYYY-MM-DD"),
        (None, "x", "toDate must be a day of the calendar written as YYYY-MM-DD"),
    ):
        with pytest.raises(ExhaustError) as refused:
            requested_days(first, last, today=TODAY)
        assert refused.value.message == sentence


def test_the_first_day_of_all_may_be_asked_for() -> None:
    assert requested_days("1970-01-01", "1970-01-01", today=TODAY) == DayRange(FIRST_DAY, FIRST_DAY)


def test_today_is_that_of_the_zone() -> None:
    def of(zone: str) -> date:
        return datetime.now(UTC).astimezone(ZoneInfo(zone)).date()

    for zone in ("Etc/GMT+12", "Pacific/Kiritimati"):
        assert of(zone) <= today_in(ZoneInfo(zone)) <= of(zone)


@pytest.mark.parametrize(
    ("now", "zone", "closed"),
    [
        (datetime(2026, 11, 22, 3, 59, 59, tzinfo=UTC), "UTC", date(2026, 11, 20)),
        (datetime(2026, 11, 22, 4, 0, tzinfo=UTC), "UTC", date(2026, 11, 21)),
        (datetime(2026, 11, 21, 22, 30, tzinfo=UTC), "Asia/Kolkata", date(2026, 11, 21)),
        (datetime(2026, 11, 21, 22, 29, tzinfo=UTC), "Asia/Kolkata", date(2026, 11, 20)),
        # Of the hours since midnight, one was skipped: 04:30 on the clock is three and a half hours later.
        (datetime(2026, 3, 29, 2, 30, tzinfo=UTC), "Europe/Berlin", date(2026, 3, 27)),
        (datetime(2026, 3, 29, 3, 0, tzinfo=UTC), "Europe/Berlin", date(2026, 3, 28)),
    ],
)
def test_a_day_is_closed_some_time_after_its_end(now: datetime, zone: str, closed: date) -> None:
    assert newest_closed_day(now, ZoneInfo(zone), timedelta(hours=4)) == closed
