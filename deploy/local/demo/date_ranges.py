"""The date ranges of the requests that cover the loaded days."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date

MAX_DAYS: Final = 31


@dataclass(frozen=True, slots=True)
class DateRange:
    """The date range of one request, both ends included."""

    first: date
    last: date

    @property
    def days(self) -> list[str]:
        """Every day of the range as YYYY-MM-DD, in order."""
        count = (self.last - self.first).days + 1
        return [(self.first + timedelta(days=after)).isoformat() for after in range(count)]


def cover_with_ranges(days: Iterable[date]) -> list[DateRange]:
    """Return the fewest ranges of at most 31 days, in order, that cover all of the days and begin and end with one."""
    ranges: list[DateRange] = []
    for day in sorted(days):
        if ranges and (day - ranges[-1].first).days < MAX_DAYS:
            ranges[-1] = DateRange(ranges[-1].first, day)
        else:
            ranges.append(DateRange(day, day))
    return ranges
