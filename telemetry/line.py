"""A line of raw telemetry, decoded as far as anyone here reads it.

Most of an event is its payload, which nothing decides on: it is checked to be JSON, and passed over. So decoding takes
half the time.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any, Final, NoReturn, TypedDict

from msgspec.json import Decoder

_BOM: Final = b"\xef\xbb\xbf"
UNREADABLE: Final = object()


class _Context(TypedDict, total=False):
    channel: Any
    cdata: Any


class _Etags(TypedDict, total=False):
    app: Any
    dims: Any
    partner: Any


class _Metadata(TypedDict, total=False):
    partner_name: Any


class _Occurrence(TypedDict, total=False):
    """The members that occurrence.py reads, and that which makes an event."""

    eid: Any
    ver: Any
    mid: Any
    ets: Any
    ts: Any


class _Event(_Occurrence, total=False):
    """The members that ownership.py reads, too. What stands there may also be no object."""

    channel: Any
    context: _Context | list[Any] | str | float | bool | None
    etags: _Etags | list[Any] | str | float | bool | None
    metadata: _Metadata | list[Any] | str | float | bool | None
    tags: Any


_quickly: Final = Decoder(_Event).decode
_briefly: Final = Decoder(_Occurrence).decode


def decode(line: bytes) -> object:
    """The JSON value (RFC 8259) of a line, or UNREADABLE.

    Of an object only those members are sure to be there that the other modules of this package read. A byte order mark
    in front is ignored, as the RFC allows in section 8.1; of repeated keys the last counts.
    """
    try:
        if not line.isascii():
            line.decode()  # msgspec does not look at the encoding of what it passes over
        return _quickly(line)
    except (ValueError, RecursionError):
        return _slowly(line)


def decode_all(lines: Sequence[bytes]) -> list[object]:
    """What decode gives for each line. Many at once cost less than each alone."""
    return _together(_quickly, lines)


def decode_briefly(lines: Sequence[bytes]) -> list[object]:
    """As decode_all; but of objects only the members are sure to be there that occurrence.py and is_event read."""
    return _together(_briefly, lines)


def _together(decoded: Callable[[bytes], object], lines: Sequence[bytes]) -> list[object]:
    try:
        if not all(map(bytes.isascii, lines)):
            b"\n".join(lines).decode()
        return list(map(decoded, lines))
    except (ValueError, RecursionError):
        return list(map(decode, lines))


def _slowly(line: bytes) -> object:
    """Takes what msgspec refuses though it is JSON: no object, a mark in front, surrogates that devices left alone."""
    try:
        # Numbers never matter here; as floats they may have any number of digits.
        return json.loads(line.removeprefix(_BOM).decode(), parse_int=float, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return UNREADABLE


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
