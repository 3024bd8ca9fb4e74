"""JSON in which every reader sees the same value: what the standard leaves open is refused (RFC 8259, 4, 6 and 8)."""

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
    """Names stand twice in one object.

    Attributes:
        pointers: where they stand (RFC 6901); of many only the first, and of a long one its beginning.
    """

    def __init__(self, pointers: list[str]) -> None:
        super().__init__("an object has two members of one name")
        self.pointers = pointers


class _RepetitiveObject(dict[str, object]):
    """An object in which names stand more than once: the last member of each, and those names."""

    def __init__(self, pairs: list[tuple[str, object]]) -> None:
        super().__init__(pairs)
        self.repeated = [name for name, times in Counter(name for name, _ in pairs).items() if times > 1]


def strict_json(raw: bytes) -> object:
    """Return the value of a JSON text.

    Args:
        raw: UTF-8 without a byte order mark.

    Raises:
        RepeatedNameError: a name stands twice in one object, at any depth.
        json.JSONDecodeError: not JSON, NaN or Infinity, half a surrogate pair, or nested too deep. Its message may
            hold parts of the text.
    """
    value: object = orjson.loads(raw)  # of a repeated name it keeps the last member, and does not say so
    found = False

    def members(pairs: list[tuple[str, object]]) -> dict[str, object]:
        nonlocal found
        unique = dict(pairs)
        if len(unique) == len(pairs):
            return unique
        found = True
        return _RepetitiveObject(pairs)

    try:
        # Numbers stay texts: one of 5,000 digits is valid, and nobody asks for its value here.
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
    """Add a name to a pointer; a long pointer is cut at once, since thousands under one long name are much text."""
    pointer = f"{place}/{name.replace('~', '~0').replace('/', '~1')}"
    return pointer if len(pointer) <= MAX_POINTER_LENGTH else f"{pointer[:MAX_POINTER_LENGTH]}…"
