"""The command `exhaust`, run within the process of the tests."""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass
from unittest import mock

from telemetry_exhaust.command import run as run_command


@dataclass(frozen=True)
class Ran:
    """A command that has ended."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        return self.stdout + self.stderr


def run(*arguments: str, stdin: str = "") -> Ran:
    """Run the command with these arguments."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), mock.patch("sys.stdin", io.StringIO(stdin)):
        try:
            code = run_command(arguments)
        except SystemExit as ended:  # of argparse
            code = ended.code if isinstance(ended.code, int) else 1
    return Ran(code, out.getvalue(), err.getvalue())
