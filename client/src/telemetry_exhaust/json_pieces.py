"""Pieces of a large JSON text, found without decoding the whole: memory stays small whatever somebody wrote into it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_PIECE_BYTES: Final = 256 * 1024  # that is decoded at once
MAX_DEPTH: Final = 800
_BLANKS: Final = re.compile(rb"[ \t\n\r]*")
_PLAIN: Final = re.compile(rb"[^\s,\]}\[{:\"]+")
_MARK: Final = re.compile(rb'["\[\]{}]')
_DEEPER: Final = b"[{"


class Piece:
    """One JSON value within a text, which nobody has decoded yet."""

    __slots__ = ("_end", "_start", "_text")

    def __init__(self, text: bytes, start: int = 0, end: int = -1) -> None:
        self._text = text
        self._start = _after_blanks(text, start)
        self._end = _end_of_value(text, self._start) if end < 0 else end

    def value(self) -> Any:
        """Decode the value.

        Raises:
            ValueError: it is no JSON, or larger than MAX_PIECE_BYTES.
        """
        if self._end - self._start > MAX_PIECE_BYTES:
            raise ValueError(f"a value has more than {MAX_PIECE_BYTES} bytes")
        try:
            return json.loads(self._text[self._start : self._end].decode())
        except RecursionError as error:
            raise ValueError("a value is nested too deep") from error

    def members(self) -> Iterator[tuple[str, Piece]]:
        """Return the names and values of an object, one after the other.

        Raises:
            ValueError: it is no object.
        """
        for name in self._inside(b"{", b"}"):
            colon = _after_blanks(self._text, name.end)
            if self._text[colon : colon + 1] != b":":
                raise ValueError("a colon is missing")
            yield _name(name.value()), Piece(self._text, colon + 1)

    def items(self) -> Iterator[Piece]:
        """Return the items of an array, one after the other.

        Raises:
            ValueError: it is no array.
        """
        return self._inside(b"[", b"]")

    @property
    def end(self) -> int:
        """The place behind the value."""
        return self._end

    def _inside(self, opening: bytes, closing: bytes) -> Iterator[Piece]:
        text, place = self._text, self._start
        if text[place : place + 1] != opening:
            raise ValueError("an object was expected" if opening == b"{" else "a list was expected")
        place = _after_blanks(text, place + 1)
        if text[place : place + 1] == closing:
            return
        while True:
            piece = Piece(text, place)
            yield piece
            place = piece.end
            if opening == b"{":  # behind the name follow a colon and the value
                place = _end_of_value(text, _after_blanks(text, _after_blanks(text, place) + 1))
            place = _after_blanks(text, place)
            if text[place : place + 1] == closing:
                return
            if text[place : place + 1] != b",":
                raise ValueError("a comma is missing")
            place = _after_blanks(text, place + 1)


def whole(text: bytes) -> Piece:
    """Return the one value of a text.

    Raises:
        ValueError: it is cut, or something follows.
    """
    piece = Piece(text)
    if _after_blanks(text, piece.end) != len(text):
        raise ValueError("something follows the end of the JSON text")
    return piece


def _name(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("a name was expected")
    return value


def _after_blanks(text: bytes, place: int) -> int:
    found = _BLANKS.match(text, place)
    return found.end() if found else place


def _end_of_value(text: bytes, start: int) -> int:
    first = text[start : start + 1]
    if first == b'"':
        return _end_of_string(text, start)
    if first not in {b"[", b"{"}:
        found = _PLAIN.match(text, start)
        if not found:
            raise ValueError("it is cut, or no JSON")
        return found.end()
    depth, place = 0, start
    while found := _MARK.search(text, place):
        mark = found.group()
        if mark == b'"':
            place = _end_of_string(text, found.start())
            continue
        place = found.end()
        depth += 1 if mark in _DEEPER else -1
        if depth == 0:
            return place
        if depth > MAX_DEPTH:
            raise ValueError("it is nested too deep")
    raise ValueError("it is cut")


def _end_of_string(text: bytes, start: int) -> int:
    place = start + 1
    while (quote := text.find(b'"', place)) >= 0:
        escapes = quote
        while text[escapes - 1 : escapes] == b"\\":
            escapes -= 1
        if (quote - escapes) % 2 == 0:
            return quote + 1
        place = quote + 1
    raise ValueError("a string has no end")
