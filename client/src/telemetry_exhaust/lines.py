"""Lines of a member, and which of them are events, in little memory whatever the lines are."""

from __future__ import annotations

import json
import re
from io import BytesIO
from itertools import accumulate
from typing import IO, TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MAX_LINE_BYTES: Final = 1024 * 1024  # its newline included; a longer line is no event
MAX_NESTING: Final = 800  # as the platform reads lines
_CHUNK: Final = 256 * 1024
_BOM: Final = b"\xef\xbb\xbf"
_BLANKS: Final = " \t\n\r"  # of JSON
_MOST_INT_DIGITS: Final = 19
_STRING: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
_NOT_BRACKETS: Final = bytes({*range(256)}.difference(b"[]{}"))
_STEPS: Final = [1 if byte in b"[{" else -1 for byte in range(256)]  # of the depth, at a bracket


def count_events(member: IO[bytes]) -> tuple[int, int]:
    """Read a member to its end.

    Returns:
        Its events, and its bytes.
    """
    events = size = 0
    for lines, read in line_batches(member):
        size += read
        events += sum(event_of(line) is not None for line in lines)
    return events, size


def line_batches(member: IO[bytes]) -> Iterator[tuple[list[bytes], int]]:
    """Read a member to its end, and return its lines in batches, without those that are blank or too long.

    Returns:
        Lines with their ends, and the bytes that were read for them.
    """
    partial = b""  # of the line whose end has not come yet; once it is too long, no more is kept of it
    while chunk := member.read(_CHUNK):
        size = len(chunk)
        if len(partial) > MAX_LINE_BYTES:
            end = chunk.find(b"\n")
            if end < 0:
                yield [], size
                continue
            chunk, partial = chunk[end + 1 :], b""
        lines = BytesIO(partial + chunk).readlines()
        partial = lines.pop() if lines and not lines[-1].endswith(b"\n") else b""
        yield _kept(lines), size
    yield _kept([partial]), 0


def lines_of(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Return the lines in the bytes of a member, without their ends, and without those that are blank or too long."""
    for _, lines in numbered_lines(pieces):
        for line in lines:
            if line and len(line) < MAX_LINE_BYTES and not line.isspace():
                yield line


def numbered_lines(pieces: Iterable[bytes]) -> Iterator[tuple[int, list[bytes]]]:
    """Return all lines in the bytes of a member, in batches, each with the number of its first line, from 1.

    They come without their ends. Of a line that is too long only so much is kept that it still is.
    """
    partial, number = b"", 1
    for piece in pieces:
        lines = (partial + piece).split(b"\n")
        partial = lines.pop()
        yield number, lines
        number += len(lines)
        if len(partial) > MAX_LINE_BYTES:
            partial = partial[: MAX_LINE_BYTES + 1]
    if partial and len(partial) <= MAX_LINE_BYTES:
        yield number, [partial]


def event_of(line: bytes) -> dict[str, Any] | None:
    """Decode a line: a JSON object with an `eid`. Every other line is None, as it is to the platform."""
    if _nests_too_deep(line):
        return None
    try:
        value = _decode(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and "eid" in value else None


def _decode(line: bytes) -> Any:
    text = (line.removeprefix(_BOM)).decode()
    try:
        value, end = _FAST_DECODER.raw_decode(text)
        if end == len(text) or not text[end:].strip(_BLANKS):
            return value
    except ValueError:  # a number of very many digits, which is JSON all the same, or no JSON
        pass
    return _DECODER.decode(text)


def _kept(lines: list[bytes]) -> list[bytes]:
    return [line for line in lines if line and len(line) <= MAX_LINE_BYTES and not line.isspace()]


def _nests_too_deep(line: bytes) -> bool:
    if len(line) <= MAX_NESTING or line.count(b"[") + line.count(b"{") <= MAX_NESTING:
        return False
    brackets = _STRING.sub(b"", line).translate(None, _NOT_BRACKETS)
    return max(accumulate(map(_STEPS.__getitem__, brackets)), default=0) > MAX_NESTING


def _whole_number(digits: str) -> int | float:
    """Read a number of any length: Python refuses to make an int of very many digits."""
    return int(digits) if len(digits) <= _MOST_INT_DIGITS else float(digits)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


_FAST_DECODER: Final = json.JSONDecoder(parse_constant=_refuse)
_DECODER: Final = json.JSONDecoder(parse_int=_whole_number, parse_constant=_refuse)
