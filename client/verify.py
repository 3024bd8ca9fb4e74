"""The command that checks a download."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from client.download_check import DownloadError, check_download
from client.safe_text import safe_text

WRONG_DAYS = 1
NO_DOWNLOAD = 2
MISSING_DAYS = 3


def verify(file: Annotated[Path, typer.Argument(metavar="FILE.zip", help="The download.")]) -> None:
    """Check a download against its own manifest: bytes, checksums, members and events of every day.

    Exit codes: 0 when every day is right, 1 when a day is wrong, 2 when the file cannot be read or is no download, 3
    when it is a partial download: the days that it has are right, and it says itself which it lacks.
    """
    try:
        days = list(check_download(file))
    except DownloadError as error:
        typer.echo(f"exhaust: {error}", err=True)
        raise typer.Exit(NO_DOWNLOAD) from error
    rows = [("day", "events", "bytes", "verdict")]
    rows += [(str(day.day), str(day.events), str(day.bytes), day.problem or day.missing or "ok") for day in days]
    encoding = sys.stdout.encoding or "utf-8"
    for row in rows:
        typer.echo("\t".join(row).encode(encoding, "backslashreplace").decode(encoding))
    wrong = sum(day.problem is not None for day in days)
    if wrong:
        name = safe_text(file.name)
        typer.echo(f"exhaust: {wrong} of {len(days)} days are wrong; download {name} again", err=True)
        raise typer.Exit(WRONG_DAYS)
    missing = sum(day.missing is not None for day in days)
    if missing:
        name = safe_text(file.name)
        sentence = f"{name} is partial: {missing} of {len(days)} days are missing, the others are right"
        typer.echo(f"exhaust: {sentence}", err=True)
        raise typer.Exit(MISSING_DAYS)
