"""Records of the aggregator's two topics: decoding them, and what happens when their work cannot be done."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from pydantic import ValidationError

from exhaust.errors import ErrorCode, ExhaustError
from exhaust.kafka.records import RejectedRecordError
from exhaust.violations import violations_text
from schemas.events import DatasetRequested, DayRequested

if TYPE_CHECKING:
    from exhaust.kafka.records import Record

Wanted = TypeVar("Wanted", DatasetRequested, DayRequested)


def decode_record(record: Record, kind: type[Wanted]) -> Wanted:
    """The event in a record.

    Raises:
        RejectedRecordError: it is no such event.
    """
    try:
        wanted = kind.model_validate_json(record.value)
    except ValidationError as error:
        raise RejectedRecordError(f"not an event of {record.topic}: {violations_text(error)}") from error
    if wanted.fromdate > wanted.todate:
        raise RejectedRecordError(f"fromdate {wanted.fromdate} is after todate {wanted.todate}")
    return wanted


def internal_fault() -> ExhaustError:
    """The error for a defect of ours, with nothing in it that a partner should not read."""
    return ExhaustError(ErrorCode.INTERNAL_ERROR, "the day could not be built; the operators have the details")
