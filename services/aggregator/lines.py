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
        self._begun: list[bytes] = []  # the parts of a line whose end has not come yet
        self._begun_bytes = 0
        self._offset = 0

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """The lines that are complete now.

        Raises:
            SourceObjectError: LIMIT_EXCEEDED for a line that is too long.
        """
        whole, newline, rest = piece.rpartition(b"\n")
        if newline:
            block = b"".join((*self._begun, whole))
            self._begun, self._begun_bytes = [], 0
            for line in block.split(b"\n"):
                yield self._checked(line + b"\n")
        if rest:
            self._begun.append(rest)
            self._begun_bytes += len(rest)
            if self._begun_bytes > self._max:
                raise self._too_long()

    def finish(self) -> Iterator[bytes]:
        """The last line, when it has no newline."""
        if self._begun:
            yield self._checked(b"".join(self._begun))

    def _checked(self, line: bytes) -> bytes:
        if len(line) > self._max:
            raise self._too_long()
        self._offset += len(line)
        return line

    def _too_long(self) -> SourceObjectError:
        return SourceObjectError(
            ErrorCode.LIMIT_EXCEEDED,
            self._name,
            f"the line at inflated byte {self._offset} is longer than {self._max} bytes",
        )


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
