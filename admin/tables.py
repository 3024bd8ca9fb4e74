"""Tables for a terminal, or tab-separated lines for a pipe."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Sequence


def print_table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table on a terminal; elsewhere a line of headings and one for each row, separated by tabs."""
    cells = [[printable(value) for value in row] for row in rows]
    if not sys.stdout.isatty():
        for line in [list(headings), *cells]:
            typer.echo("\t".join(line))
        return
    table = Table(*headings)
    for line in cells:
        table.add_row(*map(Text, line))  # Text shows square brackets, which rich reads as markup
    Console().print(table)


def printable(value: object) -> str:
    """Return a value as text on one line, with control characters of client-given names escaped."""
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in str(value))


def proven_word(*, proven: bool) -> str:
    """Return how lists show whether a license key is known to belong to the client whose name it bears."""
    return "proven" if proven else "unproven"
