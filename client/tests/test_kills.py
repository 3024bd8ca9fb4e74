"""A handful of the kills; `make kills` runs 100 of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kills import kill_get, kill_sync

if TYPE_CHECKING:
    from pathlib import Path

    from client_support.fake_gateway import FakeGateway


def test_get_is_killed_at_random_bytes_and_the_file_is_right(fake: FakeGateway, tmp_path: Path) -> None:
    assert kill_get(fake, tmp_path, seed=7, kills=5) == 5
    assert fake.refused_links > 0


def test_sync_of_30_days_is_killed_five_times_and_every_day_is_right_and_fetched_once(
    fake: FakeGateway, tmp_path: Path
) -> None:
    assert kill_sync(fake, tmp_path, seed=7, kills=5, days=30) == 5
    assert fake.refused_links > 0
