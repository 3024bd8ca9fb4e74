"""`exhaust get`: days into a folder, whatever happens on the way."""

from __future__ import annotations

import functools
import hashlib
import json
import random
from datetime import date
from typing import TYPE_CHECKING, Callable

from client_support.commands import Ran, run
from client_support.downloads import download
from client_support.fake_gateway import OWNER, FakeGateway

from telemetry_exhaust import download as download_module
from telemetry_exhaust import part_state
from telemetry_exhaust.resource_ids import resource_id

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

FIRST, LAST = date(2026, 11, 1), date(2026, 11, 3)
NAME = "eks-consumption-raw_2026-11-01_2026-11-03.zip"


def get(folder: Path, *more: str, last: date = LAST) -> Ran:
    days = ("--from", str(FIRST), "--to", str(last))
    return run("get", "--partner", OWNER, *days, "-o", str(folder), "--json", *more)


def expected(events: int = 20) -> str:
    return hashlib.sha256(download(resource_id(OWNER), FIRST, LAST, events=events)).hexdigest()


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_days_arrive_and_a_second_time_costs_nothing(settings: FakeGateway, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    ran = get(folder)
    assert (ran.exit_code, ran.stderr) == (0, "")
    assert json.loads(ran.stdout)["state"] == "new"
    assert (names(folder), digest(folder / NAME)) == ([NAME], expected())
    served = settings.served
    again = get(folder)
    assert json.loads(again.stdout)["state"] == "there already"
    assert (settings.served, len(settings.requests)) == (served, 1)


def test_more_than_31_days_become_several_files(settings: FakeGateway, tmp_path: Path) -> None:
    settings.behaviour.events = 1
    days = ("--from", "2026-09-01", "--to", "2026-10-31")
    ran = run("get", "--partner", OWNER, *days, "-o", str(tmp_path), "-q")
    assert ran.exit_code == 0, ran.stderr
    assert [len(request.data) > 0 for request in settings.requests.values()] == [True, True]
    assert len(list(tmp_path.glob("*.zip"))) == 2


def test_a_link_that_breaks_and_expires_all_the_time_is_survived(settings: FakeGateway, tmp_path: Path) -> None:
    chance = random.Random(3)
    settings.behaviour.events = 2000
    settings.behaviour.cut = lambda size: chance.randint(0, min(size, 20_000)) if chance.random() < 0.8 else size
    settings.behaviour.link_uses = 2
    ran = get(tmp_path)
    assert ran.exit_code == 0, ran.stderr
    assert digest(tmp_path / NAME) == expected(2000)
    assert len(settings.links) > 3


def test_large_objects_are_read_in_ranges_side_by_side(
    settings: FakeGateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(part_state, "PARALLEL_BYTES", 10_000)
    settings.behaviour.events = 2000
    assert get(tmp_path).exit_code == 0
    assert digest(tmp_path / NAME) == expected(2000)


def test_other_bytes_in_the_middle_begin_anew(
    settings: FakeGateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download_module, "_PAUSE", 0)
    for ignored in (False, True):
        folder = tmp_path / str(ignored)
        settings.behaviour.ignores_if_range = ignored
        other = download(resource_id(OWNER), FIRST, LAST, events=300)
        settings.behaviour.data = functools.partial(_instead, other)
        settings.behaviour.sha256 = False
        settings.behaviour.cut = _first_half_then_nothing()
        first = get(folder)
        assert first.exit_code == 1
        settings.behaviour.data = lambda data: data
        settings.behaviour.cut = lambda size: size
        assert get(folder).exit_code == 0
        assert digest(folder / NAME) == expected()


def test_damaged_bytes_get_no_name(settings: FakeGateway, tmp_path: Path) -> None:
    settings.behaviour.data = lambda data: data[:-1] + b"\1"
    ran = get(tmp_path)
    assert ran.exit_code == 1
    assert "arrives damaged again and again" in ran.stderr
    assert NAME not in names(tmp_path)


def test_limits_are_obeyed_by_their_headers(settings: FakeGateway, tmp_path: Path) -> None:
    settings.behaviour.refusals = [(429, {"Retry-After": "0"}), (503, {"Retry-After": "0"})]
    assert get(tmp_path).exit_code == 0
    settings.behaviour.refusals = [(429, {"Retry-After": "40000"})]
    ran = get(tmp_path)
    assert ran.exit_code == 3
    assert "asks to wait 400" in ran.stderr
    assert "too many calls" in ran.stderr


def test_a_request_that_failed_says_so_and_is_asked_anew_the_next_time(settings: FakeGateway, tmp_path: Path) -> None:
    settings.behaviour.failing = frozenset([FIRST])
    ran = get(tmp_path)
    assert ran.exit_code == 5
    assert "SOURCE_OBJECT_UNREADABLE: raw telemetry is damaged" in ran.stderr
    settings.behaviour.failing = frozenset()
    assert get(tmp_path).exit_code == 0


def test_wrong_key_no_grant_and_still_running_have_their_codes(
    settings: FakeGateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody = run("get", "--partner", "org.other", "--from", str(FIRST), "--to", str(LAST), "-o", str(tmp_path))
    assert (nobody.exit_code, "no grant" in nobody.stderr) == (4, True)
    settings.behaviour.seconds = 60
    running = get(tmp_path, "--within", "0.1")
    assert (running.exit_code, "still running" in running.stderr) == (8, True)
    monkeypatch.setenv("EXHAUST_LICENSE_KEY", "wrong")
    wrong = get(tmp_path)
    assert (wrong.exit_code, "exhaust login" in wrong.stderr, "wrong" in wrong.stderr) == (4, True, False)
    for ran in (nobody, running, wrong):
        assert len(ran.stderr.splitlines()) == 1


def test_bad_days_are_refused_in_one_sentence(settings: FakeGateway, tmp_path: Path) -> None:
    for first, last in (
        ("2026-02-30", "yesterday"),
        ("7d", "0d"),
        ("1d", "2d"),
        ("soon", "yesterday"),
        ("99999d", "1d"),
    ):
        ran = run("get", "--partner", OWNER, "--from", first, "--to", last, "-o", str(tmp_path))
        assert (ran.exit_code, len(ran.stderr.splitlines())) == (2, 1), ran
    assert settings.submits == 0


def test_a_file_with_other_data_is_not_replaced(settings: FakeGateway, tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(download("0" * 32, FIRST, LAST))
    ran = get(tmp_path)
    assert (ran.exit_code, "holds other data" in ran.stderr) == (2, True)
    assert settings.submits == 0


def _first_half_then_nothing() -> Callable[[int], int]:
    shares = [0.5]
    return lambda size: int(size * (shares.pop() if shares else 0)) if size > 1 else size


def _instead(other: bytes, _data: bytes) -> bytes:
    return other
