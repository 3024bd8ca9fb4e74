"""Strict JSON: it refuses texts that readers may read differently (RFC 8259, 4, 6 and 8)."""

from __future__ import annotations

import json
from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING, Final

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_POINTERS: Final = 20
MAX_POINTER_LENGTH: Final = 200


class RepeatedNameError(ValueError):
    """An object has two members of one name.

    Attributes:
        pointers: JSON pointers (RFC 6901) to those members, at most MAX_POINTERS, each at most MAX_POINTER_LENGTH long.
    """

    def __init__(self, pointers: list[str]) -> None:
        super().__init__("an object has two members of one name")
        self.pointers = pointers


class _RepetitiveObject(dict[str, object]):
    """An object with repeated names: the last member of each name, and the repeated names."""

    def __init__(self, pairs: list[tuple[str, object]]) -> None:
        super().__init__(pairs)
        self.repeated = [name for name, times in Counter(name for name, _ in pairs).items() if times > 1]


def strict_json(raw: bytes) -> object:
    """Decode a JSON text.

    Args:
        raw: UTF-8 without a byte order mark.

    Raises:
        RepeatedNameError: an object at any depth has two members of one name.
        json.JSONDecodeError: not JSON, NaN or Infinity, half a surrogate pair, or nested too deep. Its message may
            hold parts of the text.
    """
    value: object = orjson.loads(raw)  # it keeps the last member of a repeated name, without a word
    found = False

    def members(pairs: list[tuple[str, object]]) -> dict[str, object]:
        nonlocal found
        unique = dict(pairs)
        if len(unique) == len(pairs):
            return unique
        found = True
        return _RepetitiveObject(pairs)

    try:
        # This second reading is for names alone. Numbers stay text, since one of 5,000 digits is valid JSON.
        again = json.loads(raw, object_pairs_hook=members, parse_int=str, parse_float=str)
        if found:
            raise RepeatedNameError(list(islice(_pointers(again, ""), MAX_POINTERS)))
    except RecursionError:
        raise json.JSONDecodeError("nested too deep", "", 0) from None
    return value


def _pointers(value: object, place: str) -> Iterator[str]:
    if isinstance(value, _RepetitiveObject):
        yield from (_inside(place, name) for name in value.repeated)
    if isinstance(value, dict | list):
        for name, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _pointers(inner, _inside(place, str(name)))


def _inside(place: str, name: str) -> str:
    """Append a name to a pointer, and shorten it: thousands of pointers below one long name would be much text."""
    pointer = f"{place}/{name.replace('~', '~0').replace('/', '~1')}"
    return pointer if len(pointer) <= MAX_POINTER_LENGTH else f"{pointer[:MAX_POINTER_LENGTH]}…"
