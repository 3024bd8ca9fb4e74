"""The strip of days: a cell for each day, and the same in words."""

from __future__ import annotations

from datetime import date

from services.gateway.portal.strips import DAYS, range_of, strip_of

NEWEST = date(2026, 11, 29)


def test_a_strip_has_two_months_and_says_them_in_words() -> None:
    first, last = range_of(NEWEST)
    told: list[dict[str, object]] = [
        {"date": "2026-11-28", "state": "ready", "events": 1234},
        {"date": "2026-11-29", "state": "ready", "events": 5},
        {"date": "2026-11-27", "state": "missing", "events": None},
        {"date": "2026-11-30", "state": "open", "events": None},
    ]
    strip = strip_of(first, last, told)
    assert (len(strip.cells), strip.cells[-1].day) == (DAYS, "2026-11-30")
    assert strip.cells[-3].title == "2026-11-28: ready, 1,234 events"
    assert [(run.first, run.last, run.means) for run in strip.runs[-3:]] == [
        ("2026-11-27", "2026-11-27", "nothing was received"),
        ("2026-11-28", "2026-11-29", "ready"),
        ("2026-11-30", "2026-11-30", "not over"),
    ]
    assert strip.summary == "58 state not seen, 1 nothing was received, 2 ready, 1 not over"


def test_a_state_of_a_later_version_is_shown_as_not_seen() -> None:
    [cell] = strip_of(NEWEST, NEWEST, [{"date": "2026-11-29", "state": "frozen"}]).cells
    assert (cell.state, cell.title) == ("notseen", "2026-11-29: frozen")
