"""Events as columns in batches: one type a column, whatever different files put there.

A column whose values are all whole numbers, all numbers, all true or false, or all texts keeps that type. Every other
column is text: texts stay as they are, and all else is written as JSON. So `tags`, which are strings in one file and
objects in another, are one column of JSON lists.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from telemetry_exhaust.event_values import value_at

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

BATCH_EVENTS: Final = 20_000
INT: Final = "int"
FLOAT: Final = "float"
BOOL: Final = "bool"
TEXT: Final = "text"
NOTHING: Final = "nothing"
_SMALLEST, _LARGEST = -(2**63), 2**63 - 1
_KINDS: Final = {int: INT, float: FLOAT, bool: BOOL, str: TEXT, type(None): NOTHING}


@dataclass(frozen=True)
class Batch:
    """Some events as columns, and the kind of each."""

    columns: dict[str, list[Any]]
    kinds: dict[str, str]
    events: int


def batches(events: Iterable[dict[str, Any]], names: Sequence[str] | None) -> Iterator[Batch]:
    """Return events as columns, BATCH_EVENTS at a time.

    Args:
        names: dotted names of the columns; without them there is one for each field at the top of an event.
    """
    pending: list[dict[str, Any]] = []
    for event in events:
        pending.append(event)
        if len(pending) >= BATCH_EVENTS:
            yield _batch(pending, names)
            pending = []
    if pending or names:
        yield _batch(pending, names)


def joined_kind(first: str, second: str) -> str:
    """Return the kind of a column that has values of both kinds."""
    if second in {first, NOTHING}:
        return first
    if first == NOTHING:
        return second
    return FLOAT if {first, second} == {INT, FLOAT} else TEXT


def as_text(value: Any) -> str | None:
    """Return a value as it stands in a column of text."""
    if value is None or isinstance(value, str):
        return None if value is None else _shown(value)
    return _shown(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def _batch(events: list[dict[str, Any]], names: Sequence[str] | None) -> Batch:
    paths: dict[str, tuple[str, ...]]
    if names is None:
        paths = {name: (name,) for name in dict.fromkeys(name for event in events for name in event)}
    else:
        paths = {name: tuple(name.split(".")) for name in names}
    columns, kinds = {}, {}
    for name, path in paths.items():
        if len(path) == 1:
            values = [event.get(name) for event in events]
        else:
            values = [value_at(event, path) for event in events]
        columns[name], kinds[name] = _typed(values)
    return Batch(columns, kinds, len(events))


def _typed(values: list[Any]) -> tuple[list[Any], str]:
    kind = NOTHING
    for seen in set(map(type, values)):
        kind = joined_kind(kind, _KINDS.get(seen, TEXT))
    if kind == INT and not all(value is None or _SMALLEST <= value <= _LARGEST for value in values):
        kind = TEXT
    if kind == TEXT:
        return [as_text(value) for value in values], TEXT
    if kind == FLOAT:
        return [None if value is None else float(value) for value in values], FLOAT
    return values, kind


def _shown(text: str) -> str:
    """Return a text without halves of characters, which no dataframe can hold."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
