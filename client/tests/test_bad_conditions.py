"""What a partner reads when the world is against them: one sentence, the right exit code, nothing half-written."""

from __future__ import annotations

import ctypes
import random
import re
import resource
import signal
import subprocess
import sys
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import IO, TYPE_CHECKING

import pytest
from client_support.commands import run
from client_support.fake_gateway import OWNER

from telemetry_exhaust import http as http_module
from telemetry_exhaust.file_lock import hold

if TYPE_CHECKING:
    from collections.abc import Callable

    from client_support.fake_gateway import FakeGateway

DAYS = ("--from", "2026-11-01", "--to", "2026-11-03")
NAME = "eks-consumption-raw_2026-11-01_2026-11-03.zip"
YESTERDAY = str(datetime.now(timezone.utc).date() - timedelta(days=1))
HOUR = 3600
PR_CAPBSET_DROP = 24
CAP_DAC_OVERRIDE = 1
PROGRAM = (sys.executable, "-m", "telemetry_exhaust")


def get(folder: Path) -> list[str]:
    return ["get", "--partner", OWNER, *DAYS, "-o", str(folder)]


def sync(folder: Path) -> list[str]:
    return ["sync", str(folder), "--partner", OWNER, "--since", "2d"]


def child(
    arguments: list[str], prepare: Callable[[], object] | None = None, stdout: IO[bytes] | int = subprocess.DEVNULL
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*PROGRAM, *arguments], stdout=stdout, stderr=subprocess.PIPE, preexec_fn=prepare, check=False
    )


def one_sentence(ran: subprocess.CompletedProcess[bytes], code: int) -> str:
    assert (ran.returncode, len(ran.stderr.splitlines())) == (code, 1), ran
    return ran.stderr.decode()


def small_files() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))


def obey_modes() -> None:
    """Have the kernel refuse root what it refuses others."""
    ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0)


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [(200, 1, "the proxy in between"), (407, 1, "the proxy in between"), (502, 3, "status 502"), (503, 3, "try again")],
)
def test_a_proxy_that_answers_with_a_page_is_told(
    settings: FakeGateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, code: int, said: str
) -> None:
    monkeypatch.setattr(http_module.Http.__init__, "__kwdefaults__", {"ca_bundle": None, "deadline": 0.2})
    settings.behaviour.page = (status, b"<html>Please <b>log in</b>\x1b[31m</html>")
    for command in (get(tmp_path), sync(tmp_path), ["whoami"], ["requests"], ["days", "--partner", OWNER]):
        ran = run(*command)
        assert (ran.exit_code, len(ran.stderr.splitlines()), said in ran.stderr) == (code, 1, True), ran
        assert "<" not in ran.stderr
    assert list(tmp_path.glob("*.zip")) == []


@pytest.mark.parametrize("days", [1, -1])
def test_a_clock_that_is_a_day_off_is_told(settings: FakeGateway, tmp_path: Path, days: int) -> None:
    settings.behaviour.clock = -days * 24 * HOUR
    doctor = run("doctor")
    told = re.search(r"this clock is ([+-][0-9]+) s off the gateway's; set it", doctor.stdout)
    assert doctor.exit_code == 1
    assert told is not None
    assert int(told[1]) == pytest.approx(days * 24 * HOUR, abs=5)
    ran = run("get", "--partner", OWNER, "--from", YESTERDAY, "--to", YESTERDAY, "-o", str(tmp_path))
    if days > 0:
        assert (ran.exit_code, len(ran.stderr.splitlines())) == (2, 1)
        assert "the clock of this machine is 24 h ahead of the gateway's: set it" in ran.stderr
    else:
        assert ran.exit_code == 0


def test_a_pause_until_a_time_is_reckoned_by_the_clock_of_the_server() -> None:
    headers = {"Date": "Mon, 30 Nov 2026 10:00:00 GMT", "Retry-After": "Mon, 30 Nov 2026 10:00:07 GMT"}
    assert http_module.asked_pause(headers, 1.0) == pytest.approx(7)


def test_a_certificate_that_is_not_valid_yet_points_to_the_clock() -> None:
    refused = Exception("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: certificate is not yet valid")
    assert "certificate" in http_module.reason(refused)
    assert "clock" in http_module.advice(http_module.reason(refused))


def test_links_that_the_store_never_takes_are_told(settings: FakeGateway, tmp_path: Path) -> None:
    settings.behaviour.link_uses = 0
    ran = run(*get(tmp_path))
    assert (ran.exit_code, len(ran.stderr.splitlines()), "refuses new links (403)" in ran.stderr) == (1, 1, True)
    assert not (tmp_path / NAME).exists()


@pytest.mark.parametrize("command", [get, sync])
def test_a_full_disk_leaves_nothing_under_a_final_name_and_the_next_run_goes_on(
    settings: FakeGateway, tmp_path: Path, command: Callable[[Path], list[str]]
) -> None:
    settings.behaviour.events = 3000
    assert "File too large" in one_sentence(child(command(tmp_path), small_files), 1)
    assert list(tmp_path.glob("*.zip")) == []
    assert child(command(tmp_path)).returncode == 0
    assert list(tmp_path.glob("*.part*")) == []


def test_what_is_read_onto_a_full_disk_leaves_no_file(settings: FakeGateway, tmp_path: Path) -> None:
    settings.behaviour.events = 3000
    assert run(*get(tmp_path)).exit_code == 0
    before = sorted(tmp_path.iterdir())
    one_sentence(child(["read", str(tmp_path / NAME), "-o", str(tmp_path / "events.jsonl")], small_files), 1)
    assert sorted(tmp_path.iterdir()) == before
    with Path("/dev/full").open("wb") as full:
        said = one_sentence(child(["read", str(tmp_path / NAME)], stdout=full), 1)
    assert "No space left" in said


@pytest.mark.skipif(sys.platform != "linux", reason="capabilities are Linux's")
def test_a_folder_that_is_read_only_is_told(settings: FakeGateway, tmp_path: Path) -> None:
    assert run(*get(tmp_path)).exit_code == 0
    (tmp_path / NAME).rename(tmp_path.parent / NAME)
    tmp_path.chmod(0o500)
    for command in (get(tmp_path), sync(tmp_path), ["read", str(tmp_path.parent / NAME), "-o", str(tmp_path / "x")]):
        assert "Permission denied" in one_sentence(child(command, obey_modes), 1)
    assert list(tmp_path.iterdir()) == []
    assert settings.submits > 0


def test_two_at_once_are_refused_and_the_first_goes_on(settings: FakeGateway, tmp_path: Path) -> None:
    settings.behaviour.seconds = 2
    first = subprocess.Popen([*PROGRAM, *sync(tmp_path)], stdout=subprocess.DEVNULL)
    while not settings.requests:
        time.sleep(0.01)
    assert "another `exhaust` is at work" in one_sentence(child(sync(tmp_path)), 2)
    assert first.wait() == 0
    with hold(tmp_path / f"{NAME}.part.state"):
        assert "another `exhaust` is at work" in one_sentence(child(get(tmp_path)), 2)


@pytest.mark.parametrize("command", [get, sync])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_ctrl_c_anywhere_ends_with_130_and_the_next_run_goes_on(
    settings: FakeGateway, tmp_path: Path, command: Callable[[Path], list[str]], seed: int
) -> None:
    chance = random.Random(seed)
    settings.behaviour.events = 3000
    settings.behaviour.seconds = chance.choice([0.0, 0.5])
    settings.behaviour.cut = lambda size: min(size, 1000)
    # Whoever runs these tests in the background may ignore SIGINT, and would hand that down.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen([*PROGRAM, *command(tmp_path)], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
    signal.signal(signal.SIGINT, before)
    served = chance.randint(0, 40_000)
    while not settings.requests or (settings.served < served and settings.behaviour.seconds == 0):
        time.sleep(0.001)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate()
    assert (process.returncode, len(errors.splitlines())) == (130, 1), errors
    settings.behaviour.cut = lambda size: size
    assert child(command(tmp_path)).returncode == 0
    assert run("verify", str(tmp_path)).exit_code == 0
    assert list(tmp_path.glob("*.part*")) == []
