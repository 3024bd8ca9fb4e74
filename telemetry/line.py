"""Decoding of lines of raw telemetry, as far as this package reads them.

Most of an event is its payload, which decides nothing here: the decoder checks that it is JSON and skips it, which
halves the time.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any, Final, NoReturn, TypedDict

from msgspec.json import Decoder

_BOM: Final = b"\xef\xbb\xbf"
_MOST_INT_DIGITS: Final = 19
UNREADABLE: Final = object()


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
    """Return the JSON value (RFC 8259) of a line, or UNREADABLE.

    An object keeps at least the members that the other modules of this package read; others may be missing. A leading
    byte order mark is ignored, as the RFC allows in section 8.1. Of repeated keys the last one counts.
    """
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
        return list(map(decode_line, lines))
    except (ValueError, RecursionError):
        return list(map(decode, lines))


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
