"""JSON in which every reader sees the same value: what the standard leaves open is refused."""

from __future__ import annotations

import json
from typing import NoReturn


def strict_json(raw: bytes) -> object:
    """The value of a JSON text.

    Args:
        raw: UTF-8 without a byte order mark (RFC 8259, 8.1).

    Raises:
        ValueError: not JSON, a name twice in one object, NaN or Infinity, or nested too deep. Its message may hold
            parts of the text.
    """
    try:
        value: object = json.loads(raw.decode(), object_pairs_hook=_distinct, parse_constant=_no_number)
    except RecursionError:
        raise ValueError("nested too deep") from None
    return value


def _distinct(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("an object has two members of one name")
    return members


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is not a number")
