"""Decoding of lines of raw telemetry, as far as this package reads them.

Most of an event is its payload, which decides nothing here: the decoder checks that it is JSON and skips it, which
halves the time.
"""

import json
import re
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any, Final, NoReturn, TypedDict

from msgspec.json import Decoder

_BOM: Final = b"\xef\xbb\xbf"
_MOST_INT_DIGITS: Final = 19
UNREADABLE: Final = object()
MAX_NESTING: Final = 800  # decoders give up at depths that depend on the version of Python, some below 1,000
# Shorter lines cannot nest too deep: a level takes two bytes, as in `[[]]`; three without two brackets in a row, as in
# `[ [ ] ]`; and an object takes five, as in `{"":{"":0}}`, save the innermost, `{}`.
_SHORT_BYTES: Final = 2 * MAX_NESTING
_MEDIUM_BYTES: Final = 3 * MAX_NESTING
_OBJECT_BYTES: Final = 5
_STRING: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_NOT_BRACKETS: Final = bytes({*range(256)}.difference(b"[]{}"))
_STEPS: Final = [1 if byte in b"[{" else -1 for byte in range(256)]  # of the depth, at a bracket


class _Context(TypedDict, total=False):
    channel: Any
    cdata: Any
    cData: Any


class _Dimensions(TypedDict, total=False):
    channel: Any
    tag: Any


class _Etags(TypedDict, total=False):
    app: Any
    dims: Any
    partner: Any


class _Metadata(TypedDict, total=False):
    partner_name: Any


class _EventMetadata(TypedDict, total=False):
    """The members that event_metadata.py reads, and `eid`, which makes an object an event."""

    eid: Any
    ver: Any
    mid: Any
    ets: Any
    ts: Any


class _Event(_EventMetadata, total=False):
    """The members that ownership.py reads, too. Each of them may also be something else than an object."""

    channel: Any
    context: _Context | list[Any] | str | float | bool | None
    dimensions: _Dimensions | list[Any] | str | float | bool | None
    etags: _Etags | list[Any] | str | float | bool | None
    genieTag: Any
    metadata: _Metadata | list[Any] | str | float | bool | None
    tags: Any


_decode_event: Final = Decoder(_Event).decode
_decode_metadata: Final = Decoder(_EventMetadata).decode


def decode(line: bytes) -> object:
    """Return the JSON value (RFC 8259) of a line, or UNREADABLE. So is a value that nests deeper than MAX_NESTING.

    An object keeps at least the members that the other modules of this package read; others may be missing. A leading
    byte order mark is ignored, as the RFC allows in section 8.1. Of repeated keys the last one counts.
    """
    if nests_too_deep(line):
        return UNREADABLE
    try:
        if not line.isascii():
            line.decode()  # msgspec does not look at the encoding of what it passes over
        return _decode_event(line)
    except (ValueError, RecursionError):
        return _decode_any_json(line)


def decode_all(lines: Sequence[bytes]) -> list[object]:
    """Decode many lines, each as `decode` does. Many at once cost less than each alone."""
    return _decode_batch(_decode_event, lines)


def decode_metadata(lines: Sequence[bytes]) -> list[object]:
    """Decode many lines as `decode_all` does, but keep only the members that event_metadata.py and is_event read."""
    return _decode_batch(_decode_metadata, lines)


def _decode_batch(decode_line: Callable[[bytes], object], lines: Sequence[bytes]) -> list[object]:
    try:
        if not all(map(bytes.isascii, lines)):
            b"\n".join(lines).decode()
        decoded = list(map(decode_line, lines))
    except (ValueError, RecursionError):
        return list(map(decode, lines))
    if max(map(len, lines), default=0) > _SHORT_BYTES:
        for place, line in enumerate(lines):
            if nests_too_deep(line):
                decoded[place] = UNREADABLE
    return decoded


def nests_too_deep(line: bytes) -> bool:
    """Return True when the JSON value of a line nests deeper than MAX_NESTING. What it says of other lines is open."""
    size = len(line)
    if size <= _SHORT_BYTES or (size <= _MEDIUM_BYTES and b"[[" not in line):
        return False
    arrays = line.count(b"[")
    if arrays + (size + 3) // _OBJECT_BYTES <= MAX_NESTING or arrays + line.count(b"{") <= MAX_NESTING:
        return False
    brackets = _STRING.sub(b"", line).translate(None, _NOT_BRACKETS)
    return max(accumulate(map(_STEPS.__getitem__, brackets)), default=0) > MAX_NESTING


def _decode_any_json(line: bytes) -> object:
    """Decode what msgspec refuses although it is JSON: no object, a leading mark, lone surrogates of some devices."""
    try:
        return json.loads(line.removeprefix(_BOM).decode(), parse_int=_whole_number, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return UNREADABLE


def _whole_number(digits: str) -> int | float:
    """Read a number of any length: Python refuses to make an int of very many digits."""
    return int(digits) if len(digits) <= _MOST_INT_DIGITS else float(digits)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
