"""The output of the command: tables for a terminal, tab-separated lines for a pipe, or JSON for a program."""

from __future__ import annotations

import json
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Set by the option --json, which every command has (command.py), for as long as the command runs.
AS_JSON: Final[ContextVar[bool]] = ContextVar("AS_JSON", default=False)


def print_table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table on a terminal; elsewhere a line of headings and one for each row, separated by tabs.

    With --json, print an array with an object for each row.
    """
    if AS_JSON.get():
        print_json(json_rows(headings, rows))
        return
    cells = [[printable(value) for value in row] for row in rows]
    if not sys.stdout.isatty():
        for line in [list(headings), *cells]:
            typer.echo("\t".join(line))
        return
    _draw(headings, cells)


def print_documents(headings: Sequence[str], documents: Sequence[Mapping[str, object]]) -> None:
    """Print a table of documents, each with a member for every heading; with --json, the documents themselves."""
    if AS_JSON.get():
        print_json(documents)
        return
    print_table(headings, [[document[heading.replace(" ", "")] for heading in headings] for document in documents])


def _draw(headings: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    # Imported here, because it takes a while, and most calls draw nothing.
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*headings)
    for line in cells:
        table.add_row(*map(Text, line))  # Text shows square brackets, which rich reads as markup
    Console().print(table)


def tell(sentence: str, fields: Mapping[str, object] | None = None) -> None:
    """Print a sentence about what was done; with --json an object that has it as `message`, beside the fields."""
    if AS_JSON.get():
        print_json({"message": sentence} | dict(fields or {}))
    else:
        typer.echo(sentence)


def print_json(document: object) -> None:
    """Print a document as one line of JSON. It is ASCII alone, so that nothing in it steers a terminal."""
    typer.echo(json.dumps(document, default=_plain))


def json_rows(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> list[dict[str, object]]:
    """Return the rows of a table as objects; a heading without its spaces is the name of a member."""
    names = [heading.replace(" ", "") for heading in headings]
    return [dict(zip(names, row, strict=True)) for row in rows]


def _plain(value: object) -> object:
    return None if value is None else printable(value)


def printable(value: object) -> str:
    """Return a value as text on one line, with control characters of client-given names escaped."""
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    if isinstance(value, dict):
        value = json.dumps(value, ensure_ascii=False)
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in str(value))


def proven_word(*, proven: bool) -> str:
    """Return how lists show whether a license key is known to belong to the client whose name it bears."""
    return "proven" if proven else "unproven"
