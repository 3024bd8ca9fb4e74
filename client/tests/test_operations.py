"""The commands for what a newer gateway offers, and how they end on an older one."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import io
import json
import time
from datetime import date, datetime, timezone
from typing import TYPE_CHECKING

import pytest
from client_support.commands import run
from client_support.fake_gateway import OWNER, WEBHOOK

from telemetry_exhaust.dates import until
from telemetry_exhaust.errors import AccessError, UsageError
from telemetry_exhaust.output import Output
from telemetry_exhaust.status import read_status
from telemetry_exhaust.webhooks import verify

if TYPE_CHECKING:
    from pathlib import Path

    from client_support.fake_gateway import FakeGateway

RANGE = ("--from", "2026-11-01", "--to", "2026-11-03")
SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef").decode()


def test_whoami_tells_what_the_key_may_do_and_less_of_an_older_gateway(settings: FakeGateway) -> None:
    shown = run("whoami").stdout
    assert f"may read\tpartner {OWNER}" in shown
    assert "newest day\t2026-11-29" in shown
    settings.behaviour.old = True
    old = run("whoami")
    assert (old.exit_code, "key\tvalid" in old.stdout, "may read" in old.stdout) == (0, True, False)


def test_days_are_told_without_a_request(settings: FakeGateway) -> None:
    ran = run("days", "--partner", OWNER, "--from", "2026-08-01", "--to", "2026-10-31")
    assert (ran.exit_code, len(ran.stdout.splitlines()), settings.requests) == (0, 93, {})
    assert ran.stdout.splitlines()[1] == "2026-08-01\tunknown\t\t\tno"


def test_an_estimate_asks_for_nothing(settings: FakeGateway, tmp_path: Path) -> None:
    ran = run("get", "--partner", OWNER, *RANGE, "-o", str(tmp_path / "none"), "--estimate")
    assert ran.stdout.splitlines()[1] == "2026-11-01\t2026-11-03\t3\t3\t2 to 9\t1000 B to 4.9 KiB"
    assert (settings.requests, (tmp_path / "none").exists()) == ({}, False)


def test_failed_requests_are_retried_and_ended_ones_deleted(settings: FakeGateway, tmp_path: Path) -> None:
    get = ("get", "--partner", OWNER, *RANGE, "-o", str(tmp_path))
    assert run(*get).exit_code == 0
    [row] = run("requests", "--json").stdout.splitlines()
    request = json.loads(row)["requestid"]
    assert (run("retry", request).exit_code, "has not failed" in run("retry", request).stderr) == (5, True)
    settings.requests[request].error = {"code": "X", "message": "it failed"}
    assert run("retry", request).stdout.splitlines()[1] == f"{request}\t2"
    assert run("delete", request).stdout.splitlines()[1] == f"{request}\tdeleted"
    assert (run("delete", request).exit_code, run("requests", "--all").stdout) == (2, "")


def test_downloads_are_signed_when_they_begin_or_by_the_status_of_an_older_gateway(
    settings: FakeGateway, tmp_path: Path
) -> None:
    for old in (False, True):
        settings.behaviour.old = old
        settings.behaviour.link_uses = 1
        folder = tmp_path / str(old)
        assert run("get", "--partner", OWNER, *RANGE, "-o", str(folder)).exit_code == 0
    assert settings.refused_links > 0


@pytest.mark.parametrize("old", [False, True])
def test_the_days_that_did_not_fail_are_had_until_all_are_there(
    settings: FakeGateway, tmp_path: Path, *, old: bool
) -> None:
    settings.behaviour.old = old
    settings.behaviour.partial = True
    settings.behaviour.failing = frozenset([date(2026, 11, 2)])
    get = ("get", "--partner", OWNER, *RANGE, "-o", str(tmp_path))
    refused = run(*get)
    assert (refused.exit_code, "`exhaust get --partial`" in refused.stderr) == (5, True)
    ran = run(*get, "--partial")
    assert (ran.exit_code, "lacks the days that failed" in ran.stderr) == (6, True), ran
    assert [path.name for path in tmp_path.iterdir()] == ["eks-consumption-raw_2026-11-01_2026-11-03.partial.zip"]
    settings.behaviour.failing = frozenset()
    assert run(*get, "--partial").exit_code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["eks-consumption-raw_2026-11-01_2026-11-03.zip"]


@pytest.mark.parametrize("command", [("retry", "r"), ("delete", "r"), ("days", "--partner", OWNER), ("webhooks",)])
def test_an_older_gateway_is_told_in_one_sentence(settings: FakeGateway, command: tuple[str, ...]) -> None:
    settings.behaviour.old = True
    ran = run(*command)
    assert (ran.exit_code, len(ran.stderr.splitlines()), "cannot do this" in ran.stderr) == (2, 1, True)


def test_webhooks_are_listed_added_tested_replayed_and_removed(settings: FakeGateway) -> None:
    assert settings.submits == 0
    name = WEBHOOK["id"]
    assert name in run("webhooks").stdout
    added = run("webhooks", "add", WEBHOOK["url"], "--event", "request.complete")
    assert ("whsec_" in added.stdout, "not told again" in added.stderr) == (True, True)
    assert "delivered" in run("webhooks", "deliveries", name).stdout
    assert run("webhooks", "replay", name, "--since", "2026-11-01T00:00:00Z").stdout.splitlines() == ["replayed", "3"]
    assert run("webhooks", "test", name).exit_code == 0
    assert run("webhooks", "remove", name).exit_code == 0


def test_a_signed_delivery_is_checked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    body, now = b'{"type": "request.complete"}', int(time.time())
    digest = hmac.new(b"0123456789abcdef", f"m1.{now}.".encode() + body, hashlib.sha256).digest()
    right = f"v1,bm9wZQ== v1,{base64.b64encode(digest).decode()}"
    headers = {"Webhook-Id": "m1", "Webhook-Timestamp": str(now), "Webhook-Signature": right}
    assert verify(SECRET, headers, body) == {"type": "request.complete"}
    for wrong in ({"Webhook-Id": "m2"}, {"Webhook-Timestamp": str(now - 301)}, {"Webhook-Signature": "v1,AA== ä"}):
        with pytest.raises(AccessError):
            verify(SECRET, {**headers, **wrong}, body, now=now)
    with pytest.raises(UsageError):
        verify(SECRET, {}, body)
    with pytest.raises(UsageError):
        verify("secret", headers, body)
    (tmp_path / "body").write_bytes(body)
    arguments = ("webhooks", "verify", "--id", "m1", "--timestamp", str(now), "--signature", right)
    assert "never an argument" in run(*arguments, str(tmp_path / "body")).stderr
    monkeypatch.setenv("EXHAUST_WEBHOOK_SECRET", SECRET)
    assert json.loads(run(*arguments, str(tmp_path / "body")).stdout)["type"] == "request.complete"


def test_the_reference_of_the_specification_signs_what_is_checked() -> None:
    reference = pytest.importorskip("standardwebhooks.webhooks")
    now = datetime.now(timezone.utc)
    signature = reference.Webhook(SECRET).sign("m1", now, '{"a": "é"}')
    headers = {"webhook-id": "m1", "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": signature}
    assert verify(SECRET, headers, '{"a": "é"}'.encode()) == {"a": "é"}


def test_a_request_in_progress_tells_its_phase_place_and_end(settings: FakeGateway, tmp_path: Path) -> None:
    settings.behaviour.seconds = 60
    settings.behaviour.told = {
        "phase": "waiting",
        "position": 3,
        "because": "you have 4 at work",
        "eta": {"earliest": "2026-11-30T10:00:00Z", "latest": "2026-11-30T10:05:00Z"},
    }
    assert run("get", "--partner", OWNER, *RANGE, "-o", str(tmp_path), "--within", "0.1").exit_code == 8
    [request] = settings.requests
    assert "position\t3" in run("show", request).stdout
    ran = run("watch", request, "--within", "0.1", "--json")
    row = json.loads(ran.stdout.splitlines()[0])
    assert (row["phase"], row["position"], row["because"]) == ("waiting", 3, "you have 4 at work")
    assert row["eta"].startswith("2026-11-30T10:00:00Z/")


def test_an_outlook_is_told_in_few_words() -> None:
    told = {"status": "inprogress", "position": 2, "because": "you have 4 at work", "eta": {"earliest": "soon"}}
    assert read_status("r", told).outlook() == "you have 4 at work"
    del told["because"]
    assert read_status("r", told).outlook() == "number 2 in the queue"
    assert read_status("r", {"status": "inprogress", "because": "1 of 3 days is finished"}).outlook() == ""
    assert read_status("r", {"status": "inprogress", "eta": None, "progress": None}).outlook() == ""
    assert until("2000-01-01T00:00:00Z", "2000-01-01T00:00:00+00:00") == "0 s left"


@pytest.mark.parametrize("columns", [10, 40, 80, 200])
def test_a_bar_stays_in_one_line_of_the_terminal(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("NO_COLOR", "1")
    output = Output(as_json=False, quiet=False)
    output.terminal = True
    with contextlib.redirect_stderr(io.StringIO()) as drawn:
        output.bar("2026-11-20 to 2026-11-29 waiting", 3, 10, more="4 of your requests are at work, the most at a time")
    line = drawn.getvalue().rpartition("\x1b[K")[2]
    assert (len(line) < columns, line.startswith("2026")) == (True, True)


def test_an_error_tells_its_page_and_whether_to_try_again(settings: FakeGateway, tmp_path: Path) -> None:
    assert run("get", "--partner", OWNER, *RANGE, "-o", str(tmp_path)).exit_code == 0
    [request] = settings.requests
    error = {"code": "BUSY", "message": "the store was busy", "help": "/help#BUSY", "retryable": True}
    settings.requests[request].error = error
    ran = run("watch", request)
    assert f"BUSY: the store was busy (the same call may succeed later; {settings.url}/help#BUSY)" in ran.stderr
    assert f"error.help\t{settings.url}/help#BUSY" in run("show", request).stdout
    settings.requests[request].error = {"code": "BUSY", "message": "m", "help": "https://elsewhere.example/#x"}
    assert "elsewhere" not in run("watch", request).stderr
