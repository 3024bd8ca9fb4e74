"""An operator in the folder of the stack, who types what a page says."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from tests.conftest import ROOT
from tests.recovery.testbed import FOLDER, until

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from exhaust.postgres.database import Database

_COMMANDS: Final = {
    "make": f'exec {sys.executable} -m deploy.local "$1" --folder {FOLDER}',
    "exhaustctl": f'exec {sys.executable} -m admin.command "$@"',
}
_WITHIN_S: Final = 120
_FOUND_WITHIN_S: Final = 20.0
_REFUSED: Final = ("usage:", "no such", "not found", "error")


class CommandFailedError(AssertionError):
    """A command of a page does not do what the page says."""


@dataclass(frozen=True, slots=True)
class Operator:
    """Runs blocks of a page.

    Attributes:
        folder: where `.local` is.
        database: for blocks of SQL.
    """

    folder: Path
    database: Database

    async def look(self, blocks: Iterable[tuple[str, str]], variables: Mapping[str, str]) -> None:
        """Run commands that only look; how urgent it is, which some tell by their exit code, is no failure."""
        for language, code in blocks:
            if language == "sql":
                await self.database.fetch(code.rstrip().rstrip(";"))
                continue
            done = await asyncio.to_thread(self._shell, code, variables, "-uo")
            if any(word in done.stderr.lower() for word in _REFUSED):
                raise CommandFailedError(f"{code}\n{done.stdout}{done.stderr}")

    async def mend(self, blocks: Iterable[tuple[str, str]], variables: Mapping[str, str]) -> None:
        """Run commands that mend; each has to do its work. SQL is repeated until it finds something."""
        for language, code in blocks:
            if language == "sql":
                await until(partial(self._found, code), _FOUND_WITHIN_S)
                continue
            done = await asyncio.to_thread(self._shell, code, variables, "-euo")
            if done.returncode:
                raise CommandFailedError(f"{code}\n{done.stdout}{done.stderr}")

    async def _found(self, code: str) -> bool:
        return bool(await self.database.fetch(code.rstrip().rstrip(";")))

    def _shell(self, code: str, variables: Mapping[str, str], options: str) -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("EXHAUST_")}
        environment |= {"PATH": f"{self.folder / 'bin'}:{environment['PATH']}", "PYTHONPATH": str(ROOT)}
        given = "".join(f"{name}={shlex.quote(value)}\n" for name, value in variables.items())
        return subprocess.run(
            [shutil.which("bash") or "/bin/bash", options, "pipefail", "-c", given + code],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=_WITHIN_S,
            check=False,
        )


def operator_in(folder: Path, database: Database) -> Operator:
    """Make the folder of an operator: the stack that runs, and the commands."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "bin").mkdir(parents=True)
    (folder / ".local").symlink_to(FOLDER)
    for name, code in _COMMANDS.items():
        target = folder / "bin" / name
        target.write_text(f"#!/bin/sh\n{code}\n")
        target.chmod(0o755)
    return Operator(folder, database)
