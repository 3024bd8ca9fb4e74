"""The command behind `make bench-sessions`: `python -m bench.sessions`."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from bench.bars import Bar, at_least, at_most
from bench.progress import report_progress
from bench.report import print_bars
from bench.sessions.made_download import write_download

_EVENTS: Final = 10_000_000
_LEAST_A_SECOND: Final = 50_000
_MOST_MEMORY: Final = 300
_KIB: Final = 1024


def main() -> int:
    """Make a download, read it as sessions, and print the bars; the exit code is 1 when one falls short."""
    parser = argparse.ArgumentParser(prog="python -m bench.sessions", description=__doc__)
    parser.add_argument("--events", type=int, default=_EVENTS, help=f"(default: {_EVENTS})")
    parser.add_argument("--format", default="summary", help="of `exhaust sessions` (default: summary)")
    parser.add_argument("--file", type=Path, help="the download: made when it is not there, and kept")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = arguments.file or Path(folder) / "download.zip"
        if not path.exists():
            _make(path, arguments.events)
        bars = _measure(path, arguments.events, arguments.format)
    print_bars(bars)
    return 0 if all(bar.holds for bar in bars) else 1


def _make(path: Path, events: int) -> None:
    """Make the download in a process of its own: what a process has used counts for those that it starts."""
    maker = multiprocessing.get_context("spawn").Process(target=write_download, args=(path, events))
    maker.start()
    maker.join()
    if maker.exitcode:
        raise SystemExit("the download could not be made")


def _measure(path: Path, events: int, form: str) -> list[Bar]:
    report_progress(f"reading {path.stat().st_size // _KIB**2} MiB as sessions")
    command = [sys.executable, "-m", "telemetry_exhaust", "sessions", str(path), "--format", form]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as started:
        _, status, used = os.wait4(started.pid, 0)
        started.returncode = os.waitstatus_to_exitcode(status)
    if started.returncode:
        raise SystemExit(f"the command ended with {started.returncode}")
    seconds = used.ru_utime + used.ru_stime
    return [
        at_least(f"events a second of one core, {events} events", events / seconds, _LEAST_A_SECOND, "events/s"),
        at_most("highest memory", used.ru_maxrss / _KIB, _MOST_MEMORY, "MiB"),
    ]


if __name__ == "__main__":
    sys.exit(main())
