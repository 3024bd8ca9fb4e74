"""Prints the events of downloads: as they were received, or some fields of them, as JSON lines, CSV or Parquet."""

from __future__ import annotations

import csv
import io
import json
from typing import IO, TYPE_CHECKING, Any

from telemetry_exhaust import frames
from telemetry_exhaust.columns import as_text, batches
from telemetry_exhaust.errors import OK, UsageError
from telemetry_exhaust.event_values import matches, value_at
from telemetry_exhaust.export import Export
from telemetry_exhaust.lines import event_of
from telemetry_exhaust.member_bytes import day_members
from telemetry_exhaust.whole_output import whole_output

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from telemetry_exhaust.output import Output


def run(arguments: argparse.Namespace, output: Output) -> int:
    """Write the events; a file gets its name when all is in it."""
    del output
    export = Export.open(*arguments.paths)
    with whole_output(arguments.output, arguments.format) as target:
        _write(export, arguments, target)
    return OK


def _write(export: Export, arguments: argparse.Namespace, target: IO[bytes]) -> None:
    eids, tags = frozenset(arguments.eid or ()), frozenset(arguments.tag or ())
    names = arguments.columns.split(",") if arguments.columns else None
    if arguments.format == "jsonl" and not (eids or tags or names):
        return _copy(export, target)
    if arguments.format == "jsonl" and names is None:
        return _filter(export, eids, tags, target)
    events = export.events(eids=eids, tags=tags)
    if arguments.format == "jsonl":
        return _json_lines(events, names or [], target)
    if arguments.format == "csv":
        return _csv(events, names, target)
    return _parquet(events, names, target)


def _copy(export: Export, target: IO[bytes]) -> None:
    for path in export.paths:
        for _, _, pieces in day_members(path):
            last = b"\n"
            for piece in pieces:
                target.write(piece)
                last = piece[-1:] or last
            if last != b"\n":
                target.write(b"\n")


def _filter(export: Export, eids: frozenset[str], tags: frozenset[str], target: IO[bytes]) -> None:
    for line in export.lines():
        event = event_of(line)
        if event is not None and matches(event, eids, tags):
            target.write(line + b"\n")


def _json_lines(events: Iterator[dict[str, Any]], names: list[str], target: IO[bytes]) -> None:
    paths = {name: tuple(name.split(".")) for name in names}
    for event in events:
        row = {name: value_at(event, path) for name, path in paths.items()}
        target.write(json.dumps(row, separators=(",", ":")).encode() + b"\n")


def _csv(events: Iterator[dict[str, Any]], names: list[str] | None, target: IO[bytes]) -> None:
    if names is None:
        raise UsageError("CSV needs its columns: --columns eid,ets,context.channel")
    text = io.TextIOWrapper(target, "utf-8", newline="")
    rows = csv.writer(text)
    rows.writerow(names)
    paths = [tuple(name.split(".")) for name in names]
    rows.writerows([as_text(value_at(event, path)) for path in paths] for event in events)
    text.flush()
    text.detach()


def _parquet(events: Iterator[dict[str, Any]], names: list[str] | None, target: IO[bytes]) -> None:
    parquet = frames.load("pyarrow.parquet")
    parquet.write_table(frames.to_arrow(batches(events, names)), target)
