"""Reading JSON so that every reader takes the same from it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from exhaust_contract.refusals import RefusalCode, RefusedEventError

if TYPE_CHECKING:
    from typing import NoReturn

MAX_DEPTH: Final = 100
_BLANKS: Final = " \t\n\r"  # of JSON


def read_json(value: bytes) -> Any:
    """Return the JSON value in bytes.

    Raises:
        RefusedEventError: NOT_JSON.
    """
    try:
        text = value.decode()
        found = _read(text.strip(_BLANKS))
        if "\\u" in text:
            json.dumps(found, ensure_ascii=False).encode()  # fails on half of a surrogate pair
    except (ValueError, RecursionError) as error:
        raise RefusedEventError(RefusalCode.NOT_JSON, f"the value is no JSON: {_told(error)}") from error
    # Counting is quick, and few values have so many brackets that they could be deep.
    if text.count("{") + text.count("[") > MAX_DEPTH and _is_deep(found):
        raise RefusedEventError(RefusalCode.NOT_JSON, f"the value is nested more than {MAX_DEPTH} deep")
    return found


def _read(text: str) -> Any:
    found, end = _DECODER.raw_decode(text)
    if end != len(text):
        raise json.JSONDecodeError("more than one value", text, end)
    return found


def _is_deep(found: Any) -> bool:
    level = [found]
    for _ in range(MAX_DEPTH + 1):
        level = [
            inner
            for outer in level
            if isinstance(outer, (dict, list))
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, (dict, list))
        ]
        if not level:
            return False
    return True


def _told(error: Exception) -> str:
    """Return what is wrong, without a word of the value, which may be a secret."""
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at character {error.pos}"
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start} is no UTF-8"
    if isinstance(error, UnicodeEncodeError):
        return "it has half of a surrogate pair"
    return "it is nested too deep" if isinstance(error, RecursionError) else "it has a number that is none"


def _refuse_constant(_name: str) -> NoReturn:
    raise ValueError


_DECODER: Final = json.JSONDecoder(parse_constant=_refuse_constant)
