"""Dataframes of pandas, polars, Arrow and DuckDB, built batch by batch, so that only the columns are held in memory."""

from __future__ import annotations

import importlib
import json
import math
from typing import TYPE_CHECKING, Any, Callable, Final

from telemetry_exhaust.columns import BOOL, FLOAT, INT, NOTHING, TEXT, Batch, as_text, joined_kind
from telemetry_exhaust.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

_EXTRAS: Final = {"pyarrow": "parquet"}
_DUCKDB_TYPES: Final = {INT: "BIGINT", FLOAT: "DOUBLE", BOOL: "BOOLEAN", TEXT: "VARCHAR", NOTHING: "VARCHAR"}


def load(library: str) -> Any:
    """Import a library that an extra of this package brings.

    Raises:
        UsageError: it is not installed.
    """
    try:
        return importlib.import_module(library)
    except ImportError as error:
        extra = _EXTRAS.get(library, library)
        raise UsageError(f"{library} is not installed; run pip install 'telemetry-exhaust-client[{extra}]'") from error


def to_polars(found: Iterable[Batch]) -> Any:
    """Return a polars.DataFrame."""
    polars = load("polars")
    types = {INT: polars.Int64, FLOAT: polars.Float64, BOOL: polars.Boolean, TEXT: polars.String, NOTHING: polars.Null}

    def column(values: list[Any], kind: str) -> Any:
        return polars.Series(values=values, dtype=types[kind], strict=False)

    def empty(events: int, kind: str) -> Any:
        return polars.Series(values=[None], dtype=types[kind]).new_from_index(0, events)

    names = _columns(found, column, empty)
    joined = {}
    for name, (kind, parts) in names.items():
        joined[name] = polars.concat([_same(part, made, kind, column) for made, part in parts], rechunk=False)
    return polars.DataFrame(joined)


def to_pandas(found: Iterable[Batch]) -> Any:
    """Return a pandas.DataFrame; whole numbers with gaps are Int64."""
    pandas = load("pandas")
    types = {INT: "Int64", FLOAT: "float64", BOOL: "boolean", TEXT: object, NOTHING: object}

    def column(values: list[Any], kind: str) -> Any:
        return pandas.Series(values, dtype=types[kind])

    names = _columns(found, column, lambda events, kind: column([None] * events, kind))
    joined = {
        name: pandas.concat([_same(part, made, kind, column) for made, part in parts], ignore_index=True)
        for name, (kind, parts) in names.items()
    }
    return pandas.DataFrame(joined)


def to_arrow(found: Iterable[Batch]) -> Any:
    """Return a pyarrow.Table."""
    pyarrow = load("pyarrow")
    types = {
        INT: pyarrow.int64(),
        FLOAT: pyarrow.float64(),
        BOOL: pyarrow.bool_(),
        TEXT: pyarrow.string(),
        NOTHING: pyarrow.null(),
    }

    def column(values: list[Any], kind: str) -> Any:
        return pyarrow.array(values, types[kind])

    names = _columns(found, column, lambda events, kind: pyarrow.nulls(events, types[kind]))
    joined = {
        name: pyarrow.chunked_array([_same(part, made, kind, column) for made, part in parts], types[kind])
        for name, (kind, parts) in names.items()
    }
    return pyarrow.table(joined)


def to_duckdb(found: Iterable[Batch], connection: Any = None, table: str = "events") -> Any:
    """Fill a table of a DuckDB connection, in memory when none is given, and return the connection."""
    duckdb = load("duckdb")
    target = duckdb.connect() if connection is None else connection
    quoted = _quoted(table)
    target.execute(f"CREATE TABLE {quoted} (_ INTEGER)")
    kinds: dict[str, str] = {}
    for batch in found:
        for name, made in batch.kinds.items():
            kind = joined_kind(kinds.get(name, NOTHING), made)
            if name not in kinds:
                target.execute(f"ALTER TABLE {quoted} ADD COLUMN {_quoted(name)} {_DUCKDB_TYPES[kind]}")
            elif _DUCKDB_TYPES[kind] != _DUCKDB_TYPES[kinds[name]]:
                target.execute(f"ALTER TABLE {quoted} ALTER {_quoted(name)} TYPE {_DUCKDB_TYPES[kind]}")
            kinds[name] = kind
        _insert(target, quoted, batch, kinds)
    if kinds:
        target.execute(f"ALTER TABLE {quoted} DROP COLUMN _")
    return target


def _insert(target: Any, table: str, batch: Batch, kinds: dict[str, str]) -> None:
    """Insert a batch: its columns go to DuckDB as lists, which it unnests side by side."""
    if not batch.events:
        return
    names = list(batch.columns)
    columns = [
        list(map(as_text, batch.columns[name])) if kinds[name] == TEXT else batch.columns[name] for name in names
    ]
    rows = ", ".join(f"unnest(from_json(?, '[\"{_DUCKDB_TYPES[kinds[name]]}\"]'))" for name in names)
    target.execute(
        f"INSERT INTO {table} ({', '.join(map(_quoted, names))}) SELECT {rows}",
        [json.dumps(values, ensure_ascii=False) for values in columns],
    )


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


_Parts = dict[str, tuple[str, list[tuple[str, Any]]]]


def _columns(
    found: Iterable[Batch], column: Callable[[list[Any], str], Any], empty: Callable[[int, str], Any]
) -> _Parts:
    """Return for each column its kind, and its parts with the kind that each was made with."""
    names: _Parts = {}
    events = 0
    for batch in found:
        for name, values in batch.columns.items():
            kind, parts = names.get(name) or (NOTHING, [(NOTHING, empty(events, NOTHING))] if events else [])
            made = batch.kinds[name]
            parts.append((made, column(values, made)))
            names[name] = (joined_kind(kind, made), parts)
        for name, (_, parts) in names.items():
            if name not in batch.columns:
                parts.append((NOTHING, empty(batch.events, NOTHING)))
        events += batch.events
    return names


def _same(part: Any, made: str, kind: str, column: Callable[[list[Any], str], Any]) -> Any:
    """Return a part of a column in the kind of the whole."""
    if made == kind:
        return part
    values = part.to_pylist() if hasattr(part, "to_pylist") else part.to_list()
    if made == NOTHING:
        return column([None] * len(values), kind)
    known = [None if _is_gap(value) else value for value in values]
    if kind == TEXT:
        return column([as_text(value) for value in known], kind)
    return column([None if value is None else float(value) for value in known], kind)


def _is_gap(value: Any) -> bool:
    """Return True for what a library shows where a value is missing."""
    return value is None or type(value).__name__ == "NAType" or (isinstance(value, float) and math.isnan(value))
