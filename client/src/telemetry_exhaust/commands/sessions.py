"""Reads downloads as sessions: what apps, portals, editors and services did from their START to their END."""

from __future__ import annotations

import csv
import io
import json
from typing import IO, TYPE_CHECKING, Any, Callable, Final

from telemetry_exhaust import frames
from telemetry_exhaust.errors import OK, DownloadError, ExhaustError, UsageError
from telemetry_exhaust.sessions.drawing import drawing
from telemetry_exhaust.sessions.picture import histogram, timeline
from telemetry_exhaust.sessions.reading import Reading
from telemetry_exhaust.sessions.rows import COLUMNS, document_of, rows_of
from telemetry_exhaust.sessions.seen import group_name
from telemetry_exhaust.sessions.tally import Tally
from telemetry_exhaust.whole_files import write_whole
from telemetry_exhaust.whole_output import whole_output

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from telemetry_exhaust.output import Output
    from telemetry_exhaust.sessions.parts import Part
    from telemetry_exhaust.sessions.trees import Deviation

_BATCH_ROWS: Final = 20_000


def run(arguments: argparse.Namespace, output: Output) -> int:
    """Print a summary, or write the trees."""
    if arguments.plot is not None and arguments.plot.suffix != ".svg":
        raise UsageError("the picture is SVG: name a FILE.svg")
    sessions = _Sessions(arguments, output)
    try:
        if arguments.format == "summary":
            output.rows(sessions.deviations())
        else:
            sessions.read()
            with whole_output(arguments.output, arguments.format) as target:
                _WRITERS[arguments.format](sessions, target)
    except DownloadError as error:
        raise _WrongFileError(str(error)) from error
    sessions.tell()
    return OK


class _WrongFileError(ExhaustError):
    """A file that cannot be read as sessions."""


class _Sessions:
    """The trees that are asked for, each with what is not as it is drawn."""

    def __init__(self, arguments: argparse.Namespace, output: Output) -> None:
        self._arguments = arguments
        self._output = output
        self._reading = Reading(arguments.paths)
        self._tally = Tally()
        self._longest: Part | None = None
        self.where = self._reading.sources.where

    def read(self) -> None:
        """Read all lines."""
        for _ in self._read():
            pass

    def found(self) -> Iterator[tuple[Part, list[Deviation]]]:
        """Return the trees with their deviations, and count both."""
        wanted = self._arguments.session
        some = False
        for tree, told in self._reading.trees(keep=self._arguments.format == "tree"):
            if wanted and wanted != group_name(tree.group) and all(part.session != wanted for part in tree.walk()):
                continue
            some = True
            self._tally.add(tree)
            self._tally.deviations.update(deviation.kind for deviation in told)
            if self._arguments.plot and wanted and (self._longest is None or tree.ms > self._longest.ms):
                self._longest = tree
            yield tree, told
        if wanted and not some:
            raise UsageError(f"no session {wanted!r} is there")

    def deviations(self) -> Iterator[dict[str, Any]]:
        """Read all lines, then all trees, and return each deviation as a row."""
        for deviation in self._read():
            if not self._arguments.session:
                yield self._row(deviation)
        for _, told in self.found():
            yield from map(self._row, told)

    def tell(self) -> None:
        """Print the figures, or how many deviations there are, and draw what is asked for."""
        if self._arguments.format == "summary":
            self._output.rows(self._tally.workflows())
            self._output.rows(self._tally.parts())
            self._output.rows(self._tally.most_played())
            figures = {"events": self._reading.events, "derived": self._reading.derived, **self._tally.figures()}
            self._output.rows({"figure": name, "value": value} for name, value in figures.items())
        elif number := sum(self._tally.deviations.values()):
            self._output.note(f"{number} deviations; `exhaust sessions` without --format tells each")
        if self._arguments.plot is not None:
            drawn = timeline(self._longest) if self._longest else histogram(self._tally.seconds)
            write_whole(self._arguments.plot, drawn.encode("utf-8", "replace"))

    def _read(self) -> Iterator[Deviation]:
        for day in self._reading.sources.missing_days():
            self._output.say(f"{day} is missing in the download: parts of that day may have no START or no END")
        for deviation in self._reading.read():
            self._tally.deviations[deviation.kind] += 1
            yield deviation
        if not self._reading.events + self._reading.derived:
            raise _WrongFileError("it has no events, so there are no sessions to read")

    def _row(self, deviation: Deviation) -> dict[str, Any]:
        file, line = self.where(deviation.place)
        return {"deviation": deviation.kind, "file": file, "line": line, "says": deviation.says}


def _json_lines(sessions: _Sessions, target: IO[bytes]) -> None:
    for tree, deviations in sessions.found():
        document = document_of(tree, deviations, sessions.where)
        target.write(json.dumps(document, separators=(",", ":")).encode() + b"\n")


def _csv(sessions: _Sessions, target: IO[bytes]) -> None:
    text = io.TextIOWrapper(target, "utf-8", errors="replace", newline="")
    rows = csv.DictWriter(text, list(COLUMNS))
    rows.writeheader()
    for row in _rows(sessions):
        rows.writerow(row)
    text.flush()
    text.detach()


def _parquet(sessions: _Sessions, target: IO[bytes]) -> None:
    parquet, arrow = frames.load("pyarrow.parquet"), frames.load("pyarrow")
    schema = arrow.schema([(name, getattr(arrow, kind)()) for name, kind in COLUMNS.items()])
    with parquet.ParquetWriter(target, schema) as writer:
        pending: list[dict[str, Any]] = []
        for row in _rows(sessions):
            pending.append(row)
            if len(pending) >= _BATCH_ROWS:
                writer.write_table(arrow.Table.from_pylist(pending, schema))
                pending.clear()
        writer.write_table(arrow.Table.from_pylist(pending, schema))


def _drawings(sessions: _Sessions, target: IO[bytes]) -> None:
    for tree, deviations in sessions.found():
        lines = [*drawing(tree)]
        for deviation in deviations:
            file, line = sessions.where(deviation.place)
            lines.append(f"! {file}:{line}: {deviation.says}")
        target.write("".join(f"{line}\n" for line in [*lines, ""]).encode("utf-8", "replace"))


def _rows(sessions: _Sessions) -> Iterator[dict[str, Any]]:
    for number, (tree, _) in enumerate(sessions.found(), start=1):
        yield from rows_of(tree, number, sessions.where)


_WRITERS: Final[dict[str, Callable[[_Sessions, IO[bytes]], None]]] = {
    "jsonl": _json_lines,
    "csv": _csv,
    "parquet": _parquet,
    "tree": _drawings,
}
