"""promtool, Prometheus' own checker of metrics, rules and their tests; and the server, for rehearsals.

It is taken from PATH; else from Debian's package `prometheus`, which is unpacked below .cache and not installed, so
that no service starts. `check` and `test` need no server.
"""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import sys
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
HOME: Final = ROOT / ".cache" / "prometheus"
PACKAGE: Final = "prometheus"
PROGRAMS: Final = ("promtool", "prometheus")
DOWNLOAD_WITHIN: Final = timedelta(minutes=5)
RUN_WITHIN: Final = timedelta(minutes=3)


class PromtoolMissingError(Exception):
    """There is no promtool here, and none could be fetched. The message says what to do."""


@dataclass(frozen=True, slots=True)
class Told:
    """The outcome of one run.

    Attributes:
        code: 0 when promtool has nothing to object to; 3 when `check metrics` has.
        text: all that it wrote.
    """

    code: int
    text: str


def find_promtool() -> Path:
    """Return the program, and fetch it the first time.

    Raises:
        PromtoolMissingError: it is not installed, and there is no Debian to fetch it from.
    """
    return _find("promtool")


def find_prometheus() -> Path:
    """Return the server, as find_promtool returns its checker."""
    return _find("prometheus")


def promtool(*arguments: str | Path, stdin: str = "") -> Told:
    """Run promtool, as `promtool("check", "rules", path)`; `check metrics` reads standard input.

    Raises:
        PromtoolMissingError: see find_promtool.
    """
    ended = subprocess.run(
        (find_promtool(), *arguments),
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=RUN_WITHIN.total_seconds(),
        check=False,
    )
    return Told(ended.returncode, ended.stdout)


def _find(name: str) -> Path:
    installed = shutil.which(name)
    return Path(installed) if installed else _unpacked(name)


def _unpacked(name: str) -> Path:
    """Return a program of the unpacked package. Of several processes one fetches it, and the others wait."""
    program = HOME / name
    HOME.mkdir(parents=True, exist_ok=True)
    with (HOME / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            _fetch()
    return program


def _fetch() -> None:
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise PromtoolMissingError(f"put promtool of Prometheus 2.42 or newer into PATH: there is no apt for {PACKAGE}")
    folder = HOME / "package"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    _run("apt-get", "--quiet", "download", PACKAGE, cwd=folder)
    (package,) = folder.glob(f"{PACKAGE}_*.deb")
    _run("dpkg-deb", "--extract", package.name, "tree", cwd=folder)
    for name in PROGRAMS:
        (folder / "tree" / "usr" / "bin" / name).rename(HOME / name)
    shutil.rmtree(folder)


def _run(*command: str, cwd: Path) -> None:
    ended = subprocess.run(
        command,
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=DOWNLOAD_WITHIN.total_seconds(),
        check=False,
    )
    if ended.returncode:
        raise PromtoolMissingError(
            f"`{' '.join(command)}` failed; run `apt-get update`, or put promtool into PATH\n{ended.stdout}"
        )


def main() -> int:
    """Run promtool with the arguments of the command line."""
    try:
        told = promtool(*sys.argv[1:])
    except PromtoolMissingError as missing:
        print(f"error: {missing}", file=sys.stderr)
        return 1
    print(told.text, end="")
    return told.code


if __name__ == "__main__":
    sys.exit(main())
