"""What an aggregator tells of its work."""

from __future__ import annotations

from datetime import date
from uuid import uuid4

import pytest

from schemas.events import DayRequested
from services.aggregator.work_in_hand import LAST_DAYS, WorkInHand

DAY = date(2026, 11, 1)


def request() -> DayRequested:
    return DayRequested(
        requestid=uuid4(),
        attempt=1,
        datasetid="eks-consumption-raw",
        resourceid="r",
        fromdate=DAY,
        todate=DAY,
        day=DAY,
        owner="org.example.partner",
    )


def test_a_day_is_in_hand_while_it_is_worked_on_also_twice_at_once() -> None:
    work, same = WorkInHand(), request()
    with work.holding(same), work.holding(same):
        assert [day.requestid for day in work.days] == [same.requestid] * 2
    assert work.days == ()


def test_a_day_that_fails_is_put_down_and_has_no_time() -> None:
    work = WorkInHand()

    def fail() -> None:
        with work.holding(request()), work.timed():
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert work.days == ()
    assert work.day_p95 is None


def test_no_partner_is_named() -> None:
    work = WorkInHand()
    with work.holding(request()):
        assert "org.example.partner" not in work.days[0].model_dump_json()


def test_the_95th_percentile_is_that_of_the_last_days() -> None:
    now = 0.0
    work = WorkInHand(lambda: now)
    for seconds in (*[1000] * LAST_DAYS, *range(1, LAST_DAYS + 1)):
        with work.timed():
            now += seconds
    assert work.day_p95 == 190


def test_bytes_grow() -> None:
    work = WorkInHand()
    work.count_read(5)
    work.count_read(7)
    assert work.bytes_read == 12
