"""Checks downloads against their own manifests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from telemetry_exhaust.download_check import check_download
from telemetry_exhaust.errors import DAYS_MISSING, FAILED, OK, USAGE, DownloadError
from telemetry_exhaust.folders import downloads
from telemetry_exhaust.safe_text import safe_text

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from pathlib import Path

    from telemetry_exhaust.output import Output


def run(arguments: argparse.Namespace, output: Output) -> int:
    """Check every file; the exit code is that of the worst one."""
    files = list(downloads(arguments.paths))
    several = len(files) > 1 or arguments.paths[0].is_dir()
    worst = OK
    for file in files:
        code = _verify(file, output, named=several)
        if worst in {OK, DAYS_MISSING} and code != OK:
            worst = code
    return worst


@dataclass
class _Tally:
    """Numbers of days."""

    days: int = 0
    wrong: int = 0
    missing: int = 0


def _verify(file: Path, output: Output, *, named: bool) -> int:
    tally = _Tally()
    try:
        # A file that is no download has no rows: they are printed when all days have been looked at.
        rows = list(_rows(file, tally, named=named))
    except DownloadError as error:
        output.say(str(error))
        return USAGE
    output.rows(rows)
    name = safe_text(file.name)
    if tally.wrong:
        output.say(f"{tally.wrong} of {tally.days} days are wrong; download {name} again")
        return FAILED
    if tally.missing:
        output.say(f"{name} is partial: {tally.missing} of {tally.days} days are missing, the others are right")
        return DAYS_MISSING
    return OK


def _rows(file: Path, tally: _Tally, *, named: bool) -> Iterator[dict[str, Any]]:
    for day in check_download(file):
        tally.days += 1
        tally.wrong += day.problem is not None
        tally.missing += day.missing is not None
        row = {
            "day": str(day.day),
            "events": day.events,
            "bytes": day.bytes,
            "verdict": day.problem or day.missing or "ok",
        }
        yield {"file": safe_text(file.name), **row} if named else row
