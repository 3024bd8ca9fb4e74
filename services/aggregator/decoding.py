"""The decoding of the JSON values of records."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from pydantic import ValidationError
from pydantic_core import from_json

from exhaust.kafka.records import RejectedRecordError, RejectionCode
from exhaust.violations import violations_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic import TypeAdapter

    from exhaust.kafka.records import Record

Message = TypeVar("Message")
NOT_JSON = "json_invalid"  # pydantic's word


def decode_record(record: Record, kind: TypeAdapter[Message]) -> Message:
    """Return the message in a record.

    Raises:
        RejectedRecordError: TOMBSTONE, NOT_JSON, or SCHEMA with a pointer to the first place that is wrong.
    """
    if record.tombstone:
        raise RejectedRecordError(RejectionCode.TOMBSTONE, f"a record of {record.topic} without a value")
    try:
        return kind.validate_json(record.value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        reason = f"not an event of {record.topic}: {violations_text(error)}"
        if first["type"] == NOT_JSON:
            raise RejectedRecordError(RejectionCode.NOT_JSON, reason) from error
        place = first["loc"]
        if not place and "discriminator" in first.get("ctx", {}):
            place = (first["ctx"]["discriminator"].strip("'"),)
        raise RejectedRecordError(RejectionCode.SCHEMA, reason, _pointer(record.value, place)) from error


def _pointer(value: bytes, place: Sequence[int | str]) -> str:
    """Return a place of a JSON text as a pointer, without the words by which pydantic tells the kinds of a union."""
    pointer = ""
    found = from_json(value)
    for depth, part in enumerate(place, start=1):
        inside = _step(found, part)
        if inside is None and depth < len(place):
            continue
        pointer += "/" + str(part).replace("~", "~0").replace("/", "~1")
        found = inside
    return pointer


def _step(found: object, part: int | str) -> object:
    """Return what stands at a name or a number of a JSON value; None when there is no such place."""
    if isinstance(found, dict) and isinstance(part, str):
        return found.get(part)
    if isinstance(found, list) and isinstance(part, int) and part < len(found):
        return found[part]
    return None
