"""Work that nobody may ask for."""

from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest

from exhaust.kafka.records import Record, RejectedRecordError
from schemas.events import DayRequested
from services.aggregator.records import decode_day, decode_request
from telemetry.resource_ids import resource_id

DAY = date(2026, 11, 1)
OWNER = "org.example.partner"
MESSAGE = DayRequested(
    requestid=UUID(int=1),
    attempt=1,
    datasetid="d",
    resourceid=resource_id(OWNER),
    fromdate=DAY,
    todate=DAY + timedelta(days=2),
    owner=OWNER,
    day=DAY,
)


def record(**change: Any) -> Record:
    return Record("topic", 0, 0, None, MESSAGE.model_copy(update=change).to_json(), ())


def test_right_work_is_taken() -> None:
    assert decode_day(record()) == MESSAGE
    last = {"fromdate": date(1970, 1, 1), "todate": date(1970, 1, 31), "day": date(1970, 1, 31)}
    assert decode_day(record(**last)).day == date(1970, 1, 31)
    assert decode_request(record(owner=None)).resourceid == MESSAGE.resourceid


@pytest.mark.parametrize(
    ("change", "code", "pointer"),
    [
        ({"fromdate": date(1969, 12, 31), "todate": date(1970, 1, 1)}, "DAY_OUTSIDE", "/fromdate"),
        ({"fromdate": date(1, 1, 1)}, "DAY_OUTSIDE", "/fromdate"),
        ({"todate": DAY - timedelta(days=1)}, "DAY_OUTSIDE", "/todate"),
        ({"todate": DAY + timedelta(days=31)}, "RANGE_TOO_LARGE", "/todate"),
        ({"todate": date(9999, 12, 31)}, "RANGE_TOO_LARGE", "/todate"),
        ({"owner": "nobody"}, "OWNER_MISMATCH", "/owner"),
        ({"owner": ""}, "SCHEMA", "/owner"),
        ({"resourceid": ".."}, "SCHEMA", "/resourceid"),
        ({"resourceid": "../x", "owner": None}, "SCHEMA", "/resourceid"),
        ({"datasetid": "."}, "SCHEMA", "/datasetid"),
        ({"tags": ("",)}, "SCHEMA", "/tags/0"),
    ],
)
def test_wrong_work_is_refused_with_its_code(change: dict[str, Any], code: str, pointer: str) -> None:
    for decode in (decode_day, decode_request):
        with pytest.raises(RejectedRecordError) as refused:
            decode(record(**change))
        assert (refused.value.code, refused.value.pointer) == (code, pointer)


@pytest.mark.parametrize("day", [DAY - timedelta(days=1), DAY + timedelta(days=3)])
def test_a_day_outside_the_range_is_refused(day: date) -> None:
    with pytest.raises(RejectedRecordError) as refused:
        decode_day(record(day=day))
    assert (refused.value.code, refused.value.pointer) == ("DAY_OUTSIDE", "/day")
