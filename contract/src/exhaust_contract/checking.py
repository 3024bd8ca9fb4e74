"""The checks of an event that need neither a database nor the store.

The status service runs these very functions on each record of dataset.completions, before it looks at the request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import jsonschema_rs

from exhaust_contract.archive_keys import path_within_attempt
from exhaust_contract.documents import KINDS, part_of, schema
from exhaust_contract.refusals import RefusalCode, RefusedEventError
from exhaust_contract.strict_json import read_json

if TYPE_CHECKING:
    from collections.abc import Iterable

TOPIC: Final = "dataset.completions"
_TYPE: Final = "ce_type"
STATUSES: Final = {"inprogress": "progress", "complete": "completed", "failed": "failed"}


class CheckedEvent(NamedTuple):
    """An event that follows the contract.

    Attributes:
        headers: those that the contract knows.
        value: decoded.
    """

    headers: dict[str, str]
    value: dict[str, Any]


class _Kind(NamedTuple):
    type: str
    validator: jsonschema_rs.Validator


def _kinds() -> dict[str, _Kind]:
    document = schema(TOPIC)
    types = {kind.name: kind.type for kind in KINDS}
    return {
        status: _Kind(types[name], jsonschema_rs.validator_for(part_of(document, name), validate_formats=True))
        for status, name in STATUSES.items()
    }


_HEADERS_SCHEMA: Final = schema("headers")
_HEADERS: Final = jsonschema_rs.validator_for(_HEADERS_SCHEMA, validate_formats=True)
_KNOWN_HEADERS: Final = frozenset(_HEADERS_SCHEMA["properties"])
_KINDS: Final = _kinds()


def check(headers: Iterable[tuple[str, bytes | None]], value: bytes | None) -> CheckedEvent:
    """Return an event of dataset.completions, if it follows the contract.

    Args:
        headers: of the record, in their order; of a name that comes twice the last one counts.
        value: of the record; None for a tombstone.

    Raises:
        RefusedEventError: TOMBSTONE, NOT_JSON, SCHEMA, TYPE_MISMATCH or ARCHIVE_OUTSIDE_PREFIX, the first that holds.
    """
    if value is None:
        raise RefusedEventError(RefusalCode.TOMBSTONE, f"a record of {TOPIC} without a value")
    found = read_json(value)
    kind = _kind_of(found)
    if not kind.validator.is_valid(found):
        pointer, reason = _first_fault(kind.validator, found)
        raise RefusedEventError(RefusalCode.SCHEMA, f"not an event of {TOPIC}: {reason}", pointer)
    known = _checked_headers(headers, kind)
    if found["status"] == "complete":
        path_within_attempt(found["requestid"].lower(), int(found["attempt"]), found["archive"]["key"])
    return CheckedEvent(known, found)


def _kind_of(found: Any) -> _Kind:
    if not isinstance(found, dict):
        raise RefusedEventError(RefusalCode.SCHEMA, f"not an event of {TOPIC}: the value is no object")
    status = found.get("status")
    kind = _KINDS.get(status) if isinstance(status, str) else None
    if kind is None:
        raise RefusedEventError(
            RefusalCode.SCHEMA, f"not an event of {TOPIC}: /status is none of {', '.join(STATUSES)}", "/status"
        )
    return kind


def _checked_headers(headers: Iterable[tuple[str, bytes | None]], kind: _Kind) -> dict[str, str]:
    try:
        known = {name: raw.decode() for name, raw in headers if name in _KNOWN_HEADERS and raw is not None}
    except UnicodeDecodeError as error:
        raise RefusedEventError(RefusalCode.SCHEMA, "a header is no UTF-8") from error
    if not _HEADERS.is_valid(known):
        faults = dict(_faults(_HEADERS, known))
        # Another type than ours is no fault of the frame: it does not agree with the value.
        if set(faults) != {f"/{_TYPE}"} or not _is_a_type(known.get(_TYPE, "")):
            pointer = min(faults)
            raise RefusedEventError(RefusalCode.SCHEMA, f"the header {pointer[1:]} {faults[pointer]}")
    if known[_TYPE] != kind.type:
        raise RefusedEventError(RefusalCode.TYPE_MISMATCH, f"ce_type is not {kind.type}, as status says")
    return known


def _is_a_type(text: str) -> bool:
    return 0 < len(text) <= _HEADERS_SCHEMA["properties"]["ce_id"]["maxLength"] and "\0" not in text


def _first_fault(validator: jsonschema_rs.Validator, found: Any) -> tuple[str, str]:
    """Return the pointer of the first fault, and a sentence.

    First is the least pointer, so that every version of the validator says the same.
    """
    pointer, what = min(_faults(validator, found))
    return pointer, f"{pointer or 'the value'} {what}"


def _faults(validator: jsonschema_rs.Validator, found: Any) -> list[tuple[str, str]]:
    """Return the pointer of each fault with what is wrong there: a rule of the schema, never a word of the value."""
    faults = []
    for error in validator.iter_errors(found):
        place = list(error.instance_path)
        missing = getattr(error.kind, "property", None) if error.kind.name == "required" else None
        if missing is not None:
            faults.append((_pointer([*place, missing]), "is missing"))
        else:
            faults.append((_pointer(place), f"breaks the schema's rule {error.kind.name}"))
    return faults


def _pointer(place: list[str | int]) -> str:
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in place)
