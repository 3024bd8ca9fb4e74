"""Days and ranges of days, and how callers write them in a path."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Final

from exhaust.errors import ErrorCode, ExhaustError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from zoneinfo import ZoneInfo

FIRST_DAY: Final = date(1970, 1, 1)  # the platform's names of raw objects count from here
MAX_LOOKED_AT_DAYS: Final = 62  # of a question what is known of days
MAX_DAYS: Final = 31  # "one month's (31 days) data", v1 and v2 Dataset API
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


@dataclass(frozen=True, slots=True)
class DayRange:
    """Consecutive days, both ends included."""

    first: date
    last: date

    def __len__(self) -> int:
        return (self.last - self.first).days + 1

    @property
    def is_requestable(self) -> bool:
        """True for a range that a request may have: 1 to MAX_DAYS days, none before FIRST_DAY.

        The last date that Python has is in no such range: it also stands for the dates behind it.
        """
        return self.first >= FIRST_DAY and 1 <= (self.last - self.first).days + 1 <= MAX_DAYS and self.last < date.max

    def __iter__(self) -> Iterator[date]:
        return (self.first + timedelta(days=offset) for offset in range(len(self)))


def parse_day(text: str, name: str) -> date:
    """Parse a day written as YYYY-MM-DD.

    Args:
        text: what the caller wrote.
        name: what the API calls it, for the error.

    Raises:
        ExhaustError: INVALID_DATE when it has another form or is no day of the calendar.
    """
    # date.fromisoformat alone would also take 20261101 and 2026-W44-1.
    if _DAY.fullmatch(text):
        try:
            return date.fromisoformat(text)
        except ValueError:
            pass
    raise ExhaustError(ErrorCode.INVALID_DATE, f"{name} must be a day of the calendar written as YYYY-MM-DD")


def requested_days(from_text: str | None, to_text: str | None, *, today: date) -> DayRange:
    """Parse the range of days of a request, with the documented defaults and bounds.

    Args:
        from_text: first day, or None for yesterday.
        to_text: last day, included, or None for yesterday.
        today: the current day in the platform's day zone; only days before it are complete.

    Raises:
        ExhaustError: INVALID_DATE or DATE_RANGE_TOO_LARGE.
    """
    yesterday = today - timedelta(days=1)
    first, last = _both(from_text, to_text, default=yesterday)
    if last >= today:
        raise ExhaustError(ErrorCode.INVALID_DATE, f"toDate {last} must be before today, {today}")
    if first < FIRST_DAY:
        raise ExhaustError(ErrorCode.INVALID_DATE, f"fromDate {first} must not be before {FIRST_DAY}")
    if first > last:
        raise ExhaustError(ErrorCode.INVALID_DATE, f"fromDate {first} must not be after toDate {last}")
    days = DayRange(first, last)
    if len(days) > MAX_DAYS:
        raise ExhaustError(
            ErrorCode.DATE_RANGE_TOO_LARGE, f"{len(days)} days were requested; ask for at most {MAX_DAYS} at once"
        )
    return days


def _both(from_text: str | None, to_text: str | None, *, default: date) -> tuple[date, date]:
    """Return both ends of a range; the error names each that is wrong."""
    ends, wrong = [], []
    for name, text in (("fromDate", from_text), ("toDate", to_text)):
        try:
            ends.append(default if text is None else parse_day(text, name))
        except ExhaustError as error:
            wrong.append((f"{{{name}}}", error.message))
    if wrong:
        message = "; ".join(what for _, what in wrong)
        raise ExhaustError(ErrorCode.INVALID_DATE, message, violations=wrong)
    first, last = ends
    return first, last


def looked_at_days(from_text: str, to_text: str) -> DayRange:
    """Parse a range of days of which a caller wants to know what is known; it may end after today.

    Raises:
        ExhaustError: INVALID_DATE or DATE_RANGE_TOO_LARGE.
    """
    first, last = parse_day(from_text, "from"), parse_day(to_text, "to")
    if first < FIRST_DAY or last == date.max:
        raise ExhaustError(ErrorCode.INVALID_DATE, f"from {first} must not be before {FIRST_DAY}, nor to the last date")
    if first > last:
        raise ExhaustError(ErrorCode.INVALID_DATE, f"from {first} must not be after to {last}")
    days = DayRange(first, last)
    if len(days) > MAX_LOOKED_AT_DAYS:
        raise ExhaustError(
            ErrorCode.DATE_RANGE_TOO_LARGE, f"{len(days)} days; ask for at most {MAX_LOOKED_AT_DAYS} at once"
        )
    return days


def newest_closed_day(now: datetime, zone: ZoneInfo, closes_after: timedelta) -> date:
    """Return the newest day that is over for at least some time, in which late telemetry arrives.

    Args:
        now: the present time, with an offset.
        zone: the day zone.
        closes_after: that time.
    """
    return (now.astimezone(UTC) - closes_after).astimezone(zone).date() - timedelta(days=1)


def today_in(zone: ZoneInfo) -> date:
    """Return the current day in a time zone."""
    return datetime.now(zone).date()
