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
class Window:
    """The date range of one request, both ends included."""

    first: date
    last: date

    @property
    def days(self) -> list[str]:
        """Every day of the range as YYYY-MM-DD, in order."""
        count = (self.last - self.first).days + 1
        return [(self.first + timedelta(days=after)).isoformat() for after in range(count)]


def windows_over(days: Iterable[date]) -> list[Window]:
    """Return the fewest ranges of at most 31 days, in order, that cover all of the days and begin and end with one."""
    windows: list[Window] = []
    for day in sorted(days):
        if windows and (day - windows[-1].first).days < MAX_DAYS:
            windows[-1] = Window(windows[-1].first, day)
        else:
            windows.append(Window(day, day))
    return windows
