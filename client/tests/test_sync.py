"""`exhaust sync`: the folder is the bookmark."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from client_support.commands import Ran, run
from client_support.downloads import download
from client_support.fake_gateway import OWNER, FakeGateway

from telemetry_exhaust.file_lock import hold

if TYPE_CHECKING:
    from pathlib import Path


def day(back: int) -> str:
    return str(datetime.now(timezone.utc).date() - timedelta(days=back))


def sync(folder: Path, *more: str, partner: str = OWNER) -> Ran:
    return run("sync", str(folder), "--partner", partner, *more)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.zip"))


def test_a_folder_becomes_whole_and_a_gap_is_filled(settings: FakeGateway, tmp_path: Path) -> None:
    assert sync(tmp_path, "--since", "5d").exit_code == 0
    assert names(tmp_path) == [f"{day(back)}.zip" for back in range(5, 0, -1)]
    (tmp_path / f"{day(3)}.zip").unlink()
    submits = settings.submits
    again = sync(tmp_path)
    assert (again.exit_code, settings.submits) == (0, submits + 1)
    assert again.stdout.splitlines()[1].startswith(day(3))
    assert "nothing was missing" in sync(tmp_path).stderr


def test_a_hook_runs_once_for_each_file_and_again_when_it_failed(settings: FakeGateway, tmp_path: Path) -> None:
    folder, told = tmp_path / "data", tmp_path / "told"
    failing = sync(folder, "--since", "2d", "--hook", "exit 7")
    assert (failing.exit_code, "ended with 7" in failing.stderr) == (2, True)
    hook = f'echo "$EXHAUST_DAY $EXHAUST_FILE" >> {told}'
    assert sync(folder, "--since", "2d", "--hook", hook).exit_code == 0
    assert told.read_text().splitlines() == [f"{day(back)} {folder / day(back)}.zip" for back in (2, 1)]
    assert sync(folder, "--hook", hook).exit_code == 0
    assert len(told.read_text().splitlines()) == 2
    assert settings.submits == 3


def test_two_at_once_and_other_data_are_refused(settings: FakeGateway, tmp_path: Path) -> None:
    assert sync(tmp_path, "--since", "1d").exit_code == 0
    other = sync(tmp_path, partner="org.other")
    assert (other.exit_code, "holds other data" in other.stderr) == (2, True)
    with hold(tmp_path / ".exhaust-sync.lock"):
        second = sync(tmp_path)
    assert (second.exit_code, "another `exhaust` is at work" in second.stderr) == (2, True)
    assert settings.submits == 1


def test_a_day_that_failed_is_told_and_the_others_are_there(settings: FakeGateway, tmp_path: Path) -> None:
    settings.behaviour.failing = frozenset([datetime.now(timezone.utc).date() - timedelta(days=2)])
    ran = sync(tmp_path, "--since", "3d")
    assert (ran.exit_code, names(tmp_path)) == (6, [f"{day(3)}.zip", f"{day(1)}.zip"])
    assert "1 of 3 days are missing" in ran.stderr


def test_an_amended_day_is_replaced(settings: FakeGateway, tmp_path: Path) -> None:
    assert sync(tmp_path, "--since", "2d").exit_code == 0
    settings.keys.clear()
    settings.behaviour.events = 30
    assert sync(tmp_path).stdout == ""
    assert sync(tmp_path, "--recheck", "1").stdout.count(day(1)) == 2
    assert sync(tmp_path, "--recheck", "1").stdout == ""
    first, *_ = settings.requests.values()
    amended = datetime.now(timezone.utc).date() - timedelta(days=1)
    right = download(first.fields["resourceid"], amended, amended, events=30)
    assert (tmp_path / f"{day(1)}.zip").read_bytes() == right
