"""The small commands, and bad input: one sentence, and the right exit code."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from client_support.commands import run
from client_support.fake_gateway import KEY, OWNER, FakeGateway

from telemetry_exhaust import http as http_module

if TYPE_CHECKING:
    from pathlib import Path

DAYS = ("--from", "2026-11-01", "--to", "2026-11-03")
COMMANDS = [
    "login",
    "whoami",
    "get",
    "sync",
    "requests",
    "show",
    "watch",
    "cancel",
    "retry",
    "delete",
    "days",
    "webhooks",
    "verify",
    "read",
    "sessions",
    "doctor",
    "completion",
]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_exit_codes(command: str) -> None:
    ran = run(command, "--help")
    assert (ran.exit_code, "Exit codes: 0" in ran.stdout) == (0, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["wathc"], "exhaust: there is no wathc; perhaps watch is meant; see `exhaust --help`"),
        (["qqq"], "exhaust: there is no qqq; see `exhaust --help`"),
        (
            ["read", "x", "--format", "cvs"],
            "exhaust read: there is no cvs; perhaps csv is meant; see `exhaust read --help`",
        ),
        (["show"], "exhaust show: the following arguments are required: REQUEST; see `exhaust show --help`"),
    ],
)
def test_a_slip_of_the_pen_is_told_in_one_sentence(arguments: list[str], said: str) -> None:
    ran = run(*arguments)
    assert (ran.exit_code, ran.stderr.splitlines()) == (2, [said])


def test_the_command_alone_shows_its_help() -> None:
    ended = subprocess.run([sys.executable, "-m", "telemetry_exhaust"], capture_output=True, check=False)
    assert (ended.returncode, b"exhaust get --from 7d -o data" in ended.stderr) == (2, True)


def test_login_takes_over_whose_data_is_meant_when_there_is_one_grant(
    settings: FakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EXHAUST_LICENSE_KEY")
    for old, owner in ((True, None), (False, OWNER)):
        settings.behaviour.old = old
        ran = run("login", "--gateway", settings.url, stdin=f"{KEY}\n")
        assert (ran.exit_code, "--partner ID" in ran.stderr) == (0, old)
        assert json.loads(run("whoami", "--json").stdout)["owner"] == owner


def test_login_keeps_the_key_in_a_file_of_ones_own(
    settings: FakeGateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EXHAUST_LICENSE_KEY")
    monkeypatch.delenv("EXHAUST_GATEWAY")
    assert "exhaust login" in run("whoami").stderr
    ran = run("login", "--gateway", settings.url, "--partner", OWNER, stdin=f"{KEY}\n")
    assert ran.exit_code == 0, ran.stderr
    path = tmp_path / "settings" / "profiles.ini"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    who = json.loads(run("whoami", "--json").stdout)
    assert (who["granted"], who["keyfrom"], KEY in json.dumps(who)) == ("yes", "the file of profiles", False)
    path.chmod(0o644)
    assert run("whoami").exit_code == 2
    wrong = run("login", "--gateway", settings.url, stdin="wrong\n")
    assert (wrong.exit_code, "LOGIN" in wrong.stderr, "exhaust login" in wrong.stderr) == (4, False, True)
    assert run("login", "--gateway", "ftp://x", stdin=f"{KEY}\n").exit_code == 2
    assert run("login", "--gateway", settings.url, stdin="").exit_code == 2


def test_requests_are_listed_shown_watched_and_cancelled(settings: FakeGateway, tmp_path: Path) -> None:
    assert run("get", "--partner", OWNER, *DAYS, "-o", str(tmp_path)).exit_code == 0
    [row] = run("requests", "--partner", OWNER).stdout.splitlines()[1:]
    request = row.split("\t")[0]
    assert "complete" in row
    assert "Signature" not in run("show", request).stdout
    assert "downloadurl" in json.loads(run("show", request, "--json").stdout)
    assert run("watch", request).exit_code == 0
    assert (run("cancel", request).exit_code, run("show", "nothing").exit_code) == (5, 2)
    settings.behaviour.seconds = 60
    running = run("get", "--partner", OWNER, "--from", "2026-10-01", "--to", "2026-10-01", "--within", "0.1")
    assert running.exit_code == 8
    other = next(found for found in settings.requests if found != request)
    assert run("watch", other, "--within", "0.1").exit_code == 8
    assert run("cancel", other, "--json").exit_code == 0
    assert (run("watch", other).exit_code, "was cancelled" in run("watch", other).stderr) == (3, True)


def test_doctor_looks_at_everything(settings: FakeGateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("get", "--partner", OWNER, *DAYS, "-o", str(tmp_path)).exit_code == 0
    ran = run("doctor", "--partner", OWNER, "--json")
    assert settings.served > 0
    rows = [json.loads(line) for line in ran.stdout.splitlines()]
    assert [row["check"] for row in rows] == ["settings", "proxy", "gateway", "clock", "key", "grant", "store"]
    assert {row["verdict"] for row in rows} == {"ok"}, rows
    assert run("doctor", "--partner", "org.other").exit_code == 1
    monkeypatch.setenv("EXHAUST_LICENSE_KEY", "wrong")
    assert run("doctor").exit_code == 4


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_knows_every_command(shell: str) -> None:
    script = run("completion", shell).stdout
    assert all(command in script for command in COMMANDS)
    if shell == "bash":
        subprocess.run(["bash", "-n"], input=script.encode(), check=True)


def test_a_gateway_that_is_away_is_told_in_one_sentence(
    settings: FakeGateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_module.Http.__init__, "__kwdefaults__", {"ca_bundle": None, "deadline": 0.2})
    for gateway, code in (("http://127.0.0.1:1", 1), ("http://no.such.host.invalid", 1), (f"{settings.url}/x", 2)):
        monkeypatch.setenv("EXHAUST_GATEWAY", gateway)
        ran = run("get", "--partner", OWNER, *DAYS, "-o", str(tmp_path))
        assert (ran.exit_code, len(ran.stderr.splitlines())) == (code, 1), ran
    monkeypatch.setenv("EXHAUST_GATEWAY", "http://gateway.invalid")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    ran = run("get", "--partner", OWNER, *DAYS, "-o", str(tmp_path))
    assert (ran.exit_code, len(ran.stderr.splitlines())) == (1, 1), ran
    monkeypatch.setenv("EXHAUST_CA_BUNDLE", str(tmp_path / "none.pem"))
    assert run("whoami").exit_code == 2


def test_calls_go_through_the_proxy_of_the_environment(settings: FakeGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", settings.url)
    monkeypatch.setenv("EXHAUST_GATEWAY", "http://gateway.invalid")
    assert run("whoami").exit_code == 0


def test_a_folder_that_is_a_file_is_told(settings: FakeGateway, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for command in (["get", "-o", str(tmp_path / "file"), *DAYS], ["sync", str(tmp_path / "file")]):
        ran = run(*command, "--partner", OWNER)
        assert (ran.exit_code, len(ran.stderr.splitlines())) == (1, 1), ran
    assert settings.requests == {}


def test_output_of_a_pipe_that_closes_early_is_no_error(settings: FakeGateway, tmp_path: Path) -> None:
    assert run("get", "--partner", OWNER, *DAYS, "-o", str(tmp_path)).exit_code == 0
    assert settings.served > 0
    program = f"{sys.executable} -m telemetry_exhaust read {tmp_path} | head -1"
    ended = subprocess.run(["bash", "-o", "pipefail", "-c", program], capture_output=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, b"")


def test_help_is_there_at_once() -> None:
    code = "import sys, telemetry_exhaust.command; print('urllib3' in sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert ended.stdout == b"False\n"
