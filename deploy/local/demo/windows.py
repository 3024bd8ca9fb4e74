"""Which requests cover the loaded days: one request takes at most 31 days."""

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
    """The days of one request, both ends included."""

    first: date
    last: date

    @property
    def days(self) -> list[str]:
        """Every day of the window as YYYY-MM-DD, in order."""
        count = (self.last - self.first).days + 1
        return [(self.first + timedelta(days=after)).isoformat() for after in range(count)]


def windows_over(days: Iterable[date]) -> list[Window]:
    """Returns the fewest windows, in order, that hold all of the days and begin and end with one of them."""
    windows: list[Window] = []
    for day in sorted(days):
        if windows and (day - windows[-1].first).days < MAX_DAYS:
            windows[-1] = Window(windows[-1].first, day)
        else:
            windows.append(Window(day, day))
    return windows
