"""docs/recipes.md does what it says, but for the schedulers: its commands and functions run against a gateway."""

from __future__ import annotations

import ast
import configparser
import os
import re
import shlex
import shutil
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from client_support.fake_gateway import OWNER

import telemetry_exhaust

if TYPE_CHECKING:
    from client_support.fake_gateway import FakeGateway

PAGE = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text("utf-8")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CRON_FIELD = re.compile(r"[0-9*,/-]+")
NAMED = "org.example.partner.maple"
EXHAUST = f"{shlex.quote(sys.executable)} -m telemetry_exhaust"


def blocks(language: str) -> list[str]:
    return [block for found, block in BLOCK.findall(PAGE) if found == language]


def run_in_shell(command: str, folder: Path, named: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the page, for the owner that the gateway knows and with a folder of the test's."""
    ours = re.sub(r"(?<![^ '\"])(/usr/local/bin/)?exhaust ", f"{EXHAUST} ", command)
    ours = ours.replace(named, str(folder)).replace(NAMED, OWNER) + " --since 2d"
    return subprocess.run(["sh", "-c", ours], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("number", [0, 1])
def test_lines_for_cron(settings: FakeGateway, tmp_path: Path, number: int) -> None:
    if number == 1:
        pytest.importorskip("pyarrow")
    lines = blocks("")
    assert len(lines) == 2
    *fields, command = lines[number].strip().split(None, 5)
    assert all(CRON_FIELD.fullmatch(field) for field in fields)
    assert "%" not in command, "cron would end the line there"
    ran = run_in_shell(command, tmp_path, "/srv/telemetry")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert len(list(tmp_path.glob("*.zip"))) == len(settings.requests) == 2
    assert len(list(tmp_path.glob("*.parquet"))) == 2 * number


def test_units_for_systemd(settings: FakeGateway, tmp_path: Path) -> None:
    service, timer = blocks("ini")
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.read_string(service)
    ran = run_in_shell(parser["Service"]["ExecStart"], tmp_path, "/var/lib/telemetry")
    assert (ran.returncode, len(settings.requests)) == (0, 2), ran
    parser.read_string(timer)
    assert parser["Timer"]["OnCalendar"]
    if tool := shutil.which("systemd-analyze"):
        here = service.replace("/usr/local/bin/exhaust", sys.executable)
        for name, unit in (("exhaust-sync.service", here), ("exhaust-sync.timer", timer)):
            (tmp_path / name).write_text(unit)
        units = [str(tmp_path / "exhaust-sync.service"), str(tmp_path / "exhaust-sync.timer")]
        checked = subprocess.run([tool, "verify", *units], capture_output=True, text=True, check=False)
        assert "exhaust-sync" not in checked.stderr, checked.stderr


def functions(source: str) -> dict[str, Any]:
    """Compile a file of the page, and return its functions that have no decorator, with the package's names."""
    compile(source, "recipe", "exec")
    found: list[ast.stmt] = [
        node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef) and not node.decorator_list
    ]
    names = {name: getattr(telemetry_exhaust, name) for name in telemetry_exhaust.__all__}
    exec(compile(ast.Module(found, []), "recipe", "exec"), names)
    return names


def test_a_task_for_airflow(settings: FakeGateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class GivenUpError(Exception):
        """Stands for Airflow's AirflowFailException."""

    task = functions(blocks("python")[0])
    task["AirflowFailException"] = GivenUpError
    monkeypatch.setenv("EXHAUST_PARTNER", OWNER)
    day = str(datetime.now(timezone.utc).date() - timedelta(days=1))
    assert Path(task["fetch_day"](day, str(tmp_path))).exists()
    assert len(settings.requests) == 1
    monkeypatch.setenv("EXHAUST_LICENSE_KEY", "wrong")
    with pytest.raises(GivenUpError):
        task["fetch_day"](day, str(tmp_path))


def test_a_receiver_of_webhooks() -> None:
    source = blocks("python")[1]
    receiver = functions(source)
    exec(compile(source.split("\n\n\n")[0], "recipe", "exec"), receiver)
    with pytest.raises(telemetry_exhaust.UsageError):
        receiver["told"]("whsec_c2VjcmV0", {}, b"{}")
    assert os.environ.get("EXHAUST_WEBHOOK_SECRET") is None
