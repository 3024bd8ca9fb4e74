"""JSON in which every reader sees the same value: what the standard leaves open is refused (RFC 8259, 4, 6 and 8)."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
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


def strict_json(raw: bytes) -> object:
    """The value of a JSON text.

    Args:
        raw: UTF-8 without a byte order mark.

    Raises:
        RepeatedNameError: a name stands twice in one object, at any depth.
        json.JSONDecodeError: not JSON, NaN or Infinity, half a surrogate pair, or nested too deep. Its message may
            hold parts of the text.
    """
    value: object = orjson.loads(raw)
    _Members().check(raw)
    return value


class _Members:
    """Reads a text once more for its names alone: the decoder keeps the last of each and does not say so."""

    def __init__(self) -> None:
        # The object is kept too: as long as it lives, nothing else has its id.
        self._repeated: dict[int, tuple[dict[str, object], list[str]]] = {}

    def check(self, raw: bytes) -> None:
        """Raise RepeatedNameError if need be. The text is valid JSON, so only its depth can still be too much."""
        try:
            # Numbers stay texts: one of 5,000 digits is valid, and nobody asks for its value here.
            value = json.loads(raw, object_pairs_hook=self._object, parse_int=str, parse_float=str)
        except RecursionError:
            raise json.JSONDecodeError("nested too deep", "", 0) from None
        if self._repeated:
            raise RepeatedNameError(list(islice(self._pointers(value), MAX_POINTERS)))

    def _object(self, pairs: list[tuple[str, object]]) -> dict[str, object]:
        members = dict(pairs)
        if len(members) != len(pairs):
            times = Counter(name for name, _ in pairs)
            self._repeated[id(members)] = (members, [name for name, number in times.items() if number > 1])
        return members

    def _pointers(self, value: object) -> Iterator[str]:
        # Places are written out only when they are shown: ten thousand of them under one long name are much text.
        waiting: list[tuple[_Place | None, object]] = [(None, value)]
        while waiting:
            place, part = waiting.pop()
            if isinstance(part, dict):
                yield from (_pointer(_Place(place, name)) for name in self._repeated.get(id(part), ({}, []))[1])
                waiting.extend((_Place(place, name), inner) for name, inner in part.items())
            elif isinstance(part, list):
                waiting.extend((_Place(place, str(number)), inner) for number, inner in enumerate(part))


@dataclass(frozen=True, slots=True)
class _Place:
    within: _Place | None
    name: str


def _pointer(place: _Place | None) -> str:
    names: list[str] = []
    while place is not None:
        names.append(place.name)
        place = place.within
    pointer = "".join("/" + name.replace("~", "~0").replace("/", "~1") for name in reversed(names))
    return pointer if len(pointer) <= MAX_POINTER_LENGTH else f"{pointer[:MAX_POINTER_LENGTH]}…"
