"""Decode the records of the aggregator's two topics."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from pydantic import ValidationError

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
