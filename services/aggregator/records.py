"""The decoding of records of the aggregator's two topics."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from pydantic import ValidationError

from exhaust.kafka.records import RejectedRecordError
from exhaust.violations import violations_text
from schemas.events import DatasetRequested, DayRequested

if TYPE_CHECKING:
    from exhaust.kafka.records import Record

Message = TypeVar("Message", DatasetRequested, DayRequested)


def decode_record(record: Record, kind: type[Message]) -> Message:
    """Return the message in a record.

    Raises:
        RejectedRecordError: it holds no such message.
    """
    try:
        message = kind.model_validate_json(record.value)
    except ValidationError as error:
        raise RejectedRecordError(f"not an event of {record.topic}: {violations_text(error)}") from error
    if message.fromdate > message.todate:
        raise RejectedRecordError(f"fromdate {message.fromdate} is after todate {message.todate}")
    return message
