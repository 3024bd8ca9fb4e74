"""Failpoints: each name stands at one place, and acts at the hit that was asked for alone."""

import ast
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from exhaust.errors import ConfigurationError
from exhaust.process.failpoints import CRASH_EXIT_CODE, FAILPOINTS, arm_failpoints, failpoint
from tests.conftest import ROOT

PRODUCT = ("schemas", "telemetry", "exhaust", "services", "admin", "client")
NAME = "relay.after_publish"
PROGRAM = f"""
import sys
from exhaust.process.failpoints import arm_failpoints, failpoint
arm_failpoints(sys.argv[1])
for turn in (1, 2):
    failpoint({NAME!r})
    print("past", turn, flush=True)
"""


@pytest.fixture(autouse=True)
def _disarmed() -> Iterator[None]:
    yield
    arm_failpoints("")


def calls_of(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == failpoint.__name__:
            [name] = node.args
            assert isinstance(name, ast.Constant), f"{path}:{node.lineno} must name its failpoint in full"
            yield str(name.value)


def test_each_name_is_used_once_and_each_used_name_is_listed() -> None:
    used = Counter(name for folder in PRODUCT for path in (ROOT / folder).rglob("*.py") for name in calls_of(path))
    assert used == Counter(list(FAILPOINTS))


@pytest.mark.parametrize("text", ["", f"{NAME}:3", "relay.before_publish"])
def test_a_failpoint_that_is_not_asked_for_does_nothing(text: str) -> None:
    arm_failpoints(text)
    failpoint(NAME)
    failpoint(NAME)


@pytest.mark.parametrize("text", ["no.such", f"{NAME}:0", f"{NAME}:x", f"{NAME}=explode", f"{NAME};{NAME}"])
def test_an_entry_that_names_no_failpoint_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="EXHAUST_FAILPOINTS"):
        arm_failpoints(text)


@pytest.mark.parametrize(
    ("text", "printed"),
    [(NAME, ""), (f"{NAME}:2", "past 1\n"), (f" {NAME}:2=crash , submit.before_answer", "past 1\n")],
)
def test_a_process_ends_at_the_hit_without_clean_up(text: str, printed: str) -> None:
    ended = subprocess.run((sys.executable, "-c", PROGRAM, text), capture_output=True, text=True, check=False, cwd=ROOT)
    assert (ended.returncode, ended.stdout) == (CRASH_EXIT_CODE, printed)
    assert f'"failpoint":"{NAME}"' in ended.stderr


def test_a_paused_process_goes_on_when_it_is_continued() -> None:
    with subprocess.Popen(
        (sys.executable, "-c", PROGRAM, f"{NAME}:2=pause"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT
    ) as process:
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        os.kill(process.pid, signal.SIGCONT)
        printed, _ = process.communicate(timeout=30)
        assert (process.returncode, printed) == (0, b"past 1\npast 2\n")
