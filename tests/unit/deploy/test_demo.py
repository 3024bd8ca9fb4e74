import gzip
import json
from datetime import date, timedelta
from pathlib import Path

import pytest

from deploy.local.demo.comparison import DemoResult
from deploy.local.demo.date_ranges import DateRange, cover_with_ranges
from deploy.local.demo.owner import Owner, choose_owner
from deploy.local.demo.report import result_line
from deploy.local.independent_count import DayComparison
from deploy.local.independent_events import resource_of
from deploy.local.raw_telemetry import from_folder, generate_telemetry

FIRST = date(2026, 1, 1)


def after(days: int) -> date:
    return FIRST + timedelta(days=days)


def packed(*events: dict[str, object]) -> bytes:
    return gzip.compress(b"".join(json.dumps({"eid": "START", **event}).encode() + b"\n" for event in events))


@pytest.mark.parametrize(
    ("days", "ranges"),
    [
        ([], []),
        ([0], [(0, 0)]),
        ([0, 30], [(0, 30)]),
        ([0, 31], [(0, 0), (31, 31)]),
        ([400, 0, 10, 20, 32, 62], [(0, 20), (32, 62), (400, 400)]),
    ],
)
def test_ranges_hold_every_day_and_at_most_31(days: list[int], ranges: list[tuple[int, int]]) -> None:
    found = cover_with_ranges(after(day) for day in days)
    assert found == [DateRange(after(first), after(last)) for first, last in ranges]
    assert all(len(dates.days) <= 31 for dates in found)


def test_a_window_names_each_of_its_days() -> None:
    assert DateRange(after(30), after(32)).days == ["2026-01-31", "2026-02-01", "2026-02-02"]


def test_the_owner_with_the_most_version_families_is_chosen_before_the_one_with_the_most_events() -> None:
    busy: dict[str, object] = {"ver": "3.0", "context": {"channel": "busy"}}
    old: dict[str, object] = {"ver": "2.0", "channel": "both", "tags": [{"partner": "p"}]}
    new: dict[str, object] = {"ver": "3.1", "context": {"channel": "both"}}
    owner = choose_owner([packed(*[busy] * 5), packed(old, new)], "busy", frozenset())
    assert owner == Owner("channel", "both", resource_of("both"), 2, ("2.x", "3.x"))


def test_an_owner_is_chosen_among_those_given() -> None:
    data = packed({"ver": "2.0", "channel": "c", "tags": [{"partner": ["p", "q"]}]}, {"ver": "2.0", "channel": "c"})
    owner = choose_owner([data], "default", frozenset({"q", "not there"}))
    assert owner == Owner("partner", "q", resource_of("q"), 1, ("2.x",))


def test_without_events_there_is_no_owner() -> None:
    assert choose_owner([packed(), gzip.compress(b"junk\n")], "default", frozenset()) is None


def test_made_up_telemetry_covers_the_last_days() -> None:
    telemetry = generate_telemetry(after(2), 2)
    assert telemetry.days == [FIRST, after(1)]
    assert len(telemetry.of_day("2026-01-01")) == 3
    owner = choose_owner((source.read() for source in telemetry.objects), "in.ekstep", telemetry.owners)
    assert owner is not None
    assert owner.kind == "partner"


def test_a_folder_is_read_by_day(tmp_path: Path) -> None:
    (tmp_path / "2025-12-31-1575399627832.jsonl").write_bytes(b"x\n")
    telemetry = from_folder(tmp_path, FIRST, 3)
    assert telemetry.days == [date(2025, 12, 31)]
    assert gzip.decompress(telemetry.of_day("2025-12-31")["2025-12-31-1575399627832.json.gz"]) == b"x\n"
    assert telemetry.of_day("2025-12-30") == {}


def test_the_verdict_counts_and_names_the_first_difference() -> None:
    owner = Owner("channel", "c", "r", 3, ())
    right = DayComparison("2026-01-01", 1200, 34567, 0)
    wrong = DayComparison("2026-01-02", 1, 2, 0, "2026-01-02: member 1: expected a, found b")
    outcome = DemoResult(owner, [], [right])
    assert result_line(outcome) == (True, "1 day, 1,200 events, 34,567 bytes: every day matches the independent count")
    matched, line = result_line(DemoResult(owner, [], [right, wrong, wrong]))
    assert not matched
    assert line.endswith("NOT as the independent count. First difference: 2026-01-02: member 1: expected a, found b")
