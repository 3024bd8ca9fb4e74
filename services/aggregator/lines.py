"""Lines: pieces cut into lines, and a line decoded."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, NoReturn

import orjson

from exhaust.errors import ErrorCode, SourceObjectError

if TYPE_CHECKING:
    from collections.abc import Iterator

BOM: Final = b"\xef\xbb\xbf"
UNREADABLE: Final = object()


class LineSplitter:
    """Cuts one object's bytes into lines. A line keeps its newline; only the last may have none."""

    def __init__(self, name: str, max_line_bytes: int) -> None:
        self._name = name
        self._max = max_line_bytes
        self._rest = b""
        self._offset = 0

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """The lines that are complete now.

        Raises:
            SourceObjectError: LIMIT_EXCEEDED for a line that is too long.
        """
        lines = (self._rest + piece).split(b"\n")
        self._rest = lines.pop()
        for line in lines:
            yield self._checked(line + b"\n")
        if len(self._rest) > self._max:
            self._checked(self._rest)

    def finish(self) -> Iterator[bytes]:
        """The last line, when it has no newline."""
        if self._rest:
            yield self._checked(self._rest)

    def _checked(self, line: bytes) -> bytes:
        if len(line) > self._max:
            raise SourceObjectError(
                ErrorCode.LIMIT_EXCEEDED,
                self._name,
                f"the line at inflated byte {self._offset} is longer than {self._max} bytes",
            )
        self._offset += len(line)
        return line


def decode(line: bytes) -> object:
    """The JSON value (RFC 8259) of a line, or UNREADABLE.

    A byte order mark in front is ignored, as the RFC allows in section 8.1; of repeated keys the last counts.
    """
    line = line.removeprefix(BOM)
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        pass
    # orjson refuses \ud800 alone, which the grammar allows and real devices send; the slower parser takes it.
    try:
        # Numbers never matter here; as floats they may have any number of digits.
        return json.loads(line.decode(), parse_int=float, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return UNREADABLE


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
