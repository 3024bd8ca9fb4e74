"""The command that checks a download."""

from pathlib import Path
from typing import Annotated

import typer

from client.download_check import DownloadError, check_download


def verify(
    file: Annotated[Path, typer.Argument(metavar="FILE.zip", help="The download.", exists=True, dir_okay=False)],
) -> None:
    """Check a download against its own manifest: bytes, checksums and events of every day."""
    try:
        days = list(check_download(file))
    except DownloadError as error:
        typer.echo(f"exhaust: {error}", err=True)
        raise typer.Exit(2) from error
    rows = [("day", "events", "bytes", "verdict")]
    rows += [(str(day.day), str(day.events), str(day.bytes), day.problem or "ok") for day in days]
    for row in rows:
        typer.echo("\t".join(row))
    wrong = sum(day.problem is not None for day in days)
    if wrong:
        typer.echo(f"exhaust: {wrong} of {len(days)} days are wrong; download {file.name} again", err=True)
        raise typer.Exit(1)
