"""The strips of the start page: 62 days of each grant, with the state of each day in one mark and one word."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DAYS: Final = 62
NOT_SEEN: Final = "notseen"


@dataclass(frozen=True, slots=True)
class State:
    """A state of a day: its mark, and what it means in a few words."""

    mark: str
    means: str


STATES: Final[Mapping[str, State]] = {
    "ready": State("✓", "ready"),
    "empty": State("0", "without events"),
    "building": State("…", "being built"),
    "amended": State("+", "ready, and more has come since"),
    "unknown": State("·", "not asked for yet"),
    "open": State("○", "not over"),
    "missing": State("\N{EN DASH}", "nothing was received"),
    "unreadable": State("!", "not readable"),
    NOT_SEEN: State("?", "state not seen"),
}


@dataclass(frozen=True, slots=True)
class Cell:
    """A day of a strip."""

    day: str
    state: str
    mark: str
    title: str


@dataclass(frozen=True, slots=True)
class Run:
    """Days side by side in one state."""

    first: str
    last: str
    means: str
    days: int


@dataclass(frozen=True, slots=True)
class Strip:
    """Days in their order, and the same in words."""

    cells: Sequence[Cell]
    runs: Sequence[Run]
    counts: Mapping[str, int]

    @property
    def summary(self) -> str:
        """How many days there are in each state."""
        return ", ".join(f"{count} {STATES[state].means}" for state, count in self.counts.items())


def range_of(newest: date) -> tuple[date, date]:
    """Return the first and the last day of a strip: the last is the day after the newest that is closed."""
    return newest - timedelta(days=DAYS - 2), newest + timedelta(days=1)


def strip_of(first: date, last: date, told: Sequence[Mapping[str, Any]]) -> Strip:
    """Build a strip from what the operation days tells; a day of which it tells nothing is not seen."""
    by_day = {str(day["date"]): day for day in told}
    days = [(first + timedelta(days=number)).isoformat() for number in range((last - first).days + 1)]
    cells = [_cell(day, by_day.get(day, {})) for day in days]
    runs = [_run(list(side_by_side)) for _, side_by_side in groupby(cells, key=lambda cell: cell.state)]
    counts: dict[str, int] = {}
    for cell in cells:
        counts[cell.state] = counts.get(cell.state, 0) + 1
    return Strip(cells, runs, counts)


def _cell(day: str, told: Mapping[str, Any]) -> Cell:
    name = str(told.get("state", NOT_SEEN))
    state = STATES.get(name, State("?", name))
    events = told.get("events")
    more = f", {events:,} events" if isinstance(events, int) and name in {"ready", "amended"} else ""
    return Cell(day, name if name in STATES else NOT_SEEN, state.mark, f"{day}: {state.means}{more}")


def _run(cells: Sequence[Cell]) -> Run:
    return Run(cells[0].day, cells[-1].day, STATES[cells[0].state].means, len(cells))
