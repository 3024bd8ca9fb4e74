"""A handful of the kills; `make kills` runs 100 of each."""

from __future__ import annotations

import random
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from client_support.commands import run
from client_support.downloads import download
from client_support.fake_gateway import OWNER
from kills import behave, kill_get, kill_once, kill_sync

from telemetry_exhaust.resource_ids import resource_id

if TYPE_CHECKING:
    from pathlib import Path

    from client_support.fake_gateway import FakeGateway

NIGHTS = 30
CRASHES = frozenset({4, 9, 15, 22, 29})


def test_get_is_killed_at_random_bytes_and_the_file_is_right(fake: FakeGateway, tmp_path: Path) -> None:
    assert kill_get(fake, tmp_path, seed=7, kills=5) == 5
    assert fake.refused_links > 0


def test_sync_of_30_days_is_killed_five_times_and_every_day_is_right_and_fetched_once(
    fake: FakeGateway, tmp_path: Path
) -> None:
    assert kill_sync(fake, tmp_path, seed=7, kills=5, days=30) == 5
    assert fake.refused_links > 0


def test_30_nights_with_5_crashes_leave_30_right_files_and_none_is_fetched_twice(
    settings: FakeGateway, tmp_path: Path
) -> None:
    """Each night one day more is missing: the one before all that are there."""
    chance = random.Random(11)
    behave(settings, chance)
    today = datetime.now(timezone.utc).date()
    days = [today - timedelta(days=night) for night in range(1, NIGHTS + 1)]
    right = {day: download(resource_id(OWNER), day, day, events=4000) for day in days}
    for night in range(1, NIGHTS + 1):
        nightly = ["sync", str(tmp_path), "--partner", OWNER, "--since", f"{night}d", "-q"]
        if night in CRASHES:
            assert kill_once(settings, nightly, chance, len(right[days[0]]) // 2)
        assert run(*nightly).exit_code == 0
    assert {path.name: path.read_bytes() for path in tmp_path.glob("*.zip*")} == {
        f"{day}.zip": content for day, content in right.items()
    }
    assert len(settings.requests) == NIGHTS
    # Each byte once, but for what a killed run had in hand, and the first byte that finds the object.
    assert settings.served <= sum(map(len, right.values())) + len(CRASHES) * 60_000 + 1000
