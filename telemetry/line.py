"""A line of raw telemetry, decoded."""

import json
from typing import Final, NoReturn

import orjson

_BOM: Final = b"\xef\xbb\xbf"
UNREADABLE: Final = object()


def decode(line: bytes) -> object:
    """The JSON value (RFC 8259) of a line, or UNREADABLE.

    A byte order mark in front is ignored, as the RFC allows in section 8.1; of repeated keys the last counts.
    """
    line = line.removeprefix(_BOM)
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
