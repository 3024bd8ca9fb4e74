"""Days as people write them, and ranges as the API takes them."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Final

from telemetry_exhaust.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_DAYS: Final = 31  # of one request
_EARLIEST: Final = date(1970, 1, 1)
ONE_DAY: Final = timedelta(days=1)
_MINUTE: Final = 60
_HOUR: Final = 3600
_AGO: Final = re.compile(r"([0-9]{1,5})d")
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def yesterday() -> date:
    """Return the last day that is over, in UTC."""
    return datetime.now(timezone.utc).date() - ONE_DAY


def parse_day(text: str) -> date:
    """Read a day: `2026-11-01`, `yesterday`, or `7d`, which is seven days ago.

    Raises:
        UsageError: it is none of these.
    """
    if text == "yesterday":
        return yesterday()
    ago = _AGO.fullmatch(text)
    try:
        if ago:
            return yesterday() + ONE_DAY - int(ago[1]) * ONE_DAY
        if _DATE.fullmatch(text):
            return date.fromisoformat(text)
    except (ValueError, OverflowError):
        pass
    raise UsageError(f"{text!r} is no day; write 2026-11-01, yesterday, or 7d for seven days ago")


def parse_range(first: str, last: str) -> tuple[date, date]:
    """Read a range of days, both ends included.

    Raises:
        UsageError: an end is no day, the range is empty, or its last day is not over.
    """
    start, end = parse_day(first), parse_day(last)
    if start > end:
        raise UsageError(f"--from {start} is behind --to {end}; swap them")
    if start < _EARLIEST:
        raise UsageError(f"{start} is before {_EARLIEST}, and nothing is that old")
    if end > yesterday():
        raise UsageError(f"{end} is not over yet; days are in UTC, and the last one to ask for is {yesterday()}")
    return start, end


def ranges_of(first: date, last: date, most: int = MAX_DAYS) -> Iterator[tuple[date, date]]:
    """Split a range into ranges of at most so many days."""
    while first <= last:
        end = min(last, first + (most - 1) * ONE_DAY)
        yield first, end
        first = end + ONE_DAY


def days_of(first: date, last: date) -> Iterator[date]:
    """Return the days of a range, one after the other."""
    while first <= last:
        yield first
        first += ONE_DAY


def until(earliest: str, latest: str, now: datetime | None = None) -> str:
    """Return in how long something ends that ends between two ISO times, as people say it; "" for no such times."""
    begin = now or datetime.now(timezone.utc)
    try:
        least, most = ((datetime.fromisoformat(time.replace("Z", "+00:00")) - begin) for time in (earliest, latest))
    except (ValueError, TypeError):
        return ""
    first, last = _duration(least), _duration(most)
    return f"{last} left" if first == last else f"{first} to {last} left"


def _duration(length: timedelta) -> str:
    seconds = max(0, round(length.total_seconds()))
    if seconds < _MINUTE:
        return f"{seconds} s"
    return f"{round(seconds / _MINUTE)} min" if seconds < _HOUR else f"{seconds / _HOUR:.1f} h"
