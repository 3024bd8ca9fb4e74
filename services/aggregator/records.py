"""The decoding and checking of records of the aggregator's two topics.

Whoever can write to a topic can ask for anything, so a record is checked here as if nobody had checked it before.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, TypeVar

from pydantic import TypeAdapter

from exhaust.domain.days import FIRST_DAY, MAX_DAYS
from exhaust.kafka.records import RejectedRecordError, RejectionCode
from schemas.events import DatasetRequested, DayRequested
from services.aggregator.decoding import decode_record
from telemetry.resource_ids import resource_id

if TYPE_CHECKING:
    from exhaust.kafka.records import Record

_REQUESTS: Final = TypeAdapter(DatasetRequested)
_DAYS: Final = TypeAdapter(DayRequested)
FRESH_FOR: Final = timedelta(minutes=1)
Message = TypeVar("Message", DatasetRequested, DayRequested)


def decode_request(record: Record) -> DatasetRequested:
    """Return the request in a record of dataset.requests.

    Raises:
        RejectedRecordError: it holds none, or one that nobody may make.
    """
    return _checked(decode_record(record, _REQUESTS))


def decode_day(record: Record) -> DayRequested:
    """Return the day in a record of dataset.days.

    Raises:
        RejectedRecordError: it holds none, or one that nobody may ask for.
    """
    message = _checked(decode_record(record, _DAYS))
    if not message.fromdate <= message.day <= message.todate:
        raise RejectedRecordError(RejectionCode.DAY_OUTSIDE, f"day {message.day} is not one of the request's", "/day")
    return message


def may_come_again(record: Record) -> bool:
    """Return True for a record that is not fresh: it may come again after a crash, or because a topic is read again."""
    return record.written_at is not None and datetime.now(UTC) - record.written_at > FRESH_FOR


def _checked(message: Message) -> Message:
    for name, text in (("datasetid", message.datasetid), ("resourceid", message.resourceid)):
        if not text.strip("."):  # a place, not a name
            raise RejectedRecordError(RejectionCode.SCHEMA, f"{name} has nothing but dots", f"/{name}")
    if message.fromdate < FIRST_DAY:
        raise RejectedRecordError(
            RejectionCode.DAY_OUTSIDE, f"fromdate {message.fromdate} is before {FIRST_DAY}", "/fromdate"
        )
    if message.fromdate > message.todate:
        raise RejectedRecordError(
            RejectionCode.DAY_OUTSIDE, f"fromdate {message.fromdate} is after todate {message.todate}", "/todate"
        )
    days = (message.todate - message.fromdate).days + 1
    if days > MAX_DAYS:
        raise RejectedRecordError(
            RejectionCode.RANGE_TOO_LARGE, f"{days} days, of which a request has at most {MAX_DAYS}", "/todate"
        )
    # An owner only speeds the search for its events: a wrong one would find none of the resource's.
    if message.owner is not None and resource_id(message.owner) != message.resourceid:
        raise RejectedRecordError(
            RejectionCode.OWNER_MISMATCH, f"resource {message.resourceid} is not that of the owner", "/owner"
        )
    return message
