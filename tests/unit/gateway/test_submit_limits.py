from __future__ import annotations

from datetime import date, timedelta

import pytest

from exhaust.errors import ErrorCode, ExhaustError
from exhaust.postgres.key_usage import KeyUsage
from exhaust.postgres.requests import Exceeded, Limits
from exhaust.postgres.submit_limits import limit_error
from services.gateway.settings import LimitSettings
from services.gateway.submit_limits import submit_limits

LIMITS = Limits(open_requests=3, days_built=10_000, bytes_built=5_000_000)
DAY = date(2026, 12, 31)


def used(days: int, size: int, *, left: float = 3600, open_requests: int = 1) -> Exceeded:
    return Exceeded(open_requests, KeyUsage(DAY, days, size, timedelta(seconds=left)))


def error_of(exceeded: Exceeded) -> ExhaustError:
    error = limit_error(LIMITS, exceeded)
    assert (error.code, error.status) == (ErrorCode.RATE_LIMITED, 429)
    assert error.retryable
    return error


@pytest.mark.parametrize("exceeded", [Exceeded(3, None), used(9_999, 4_999_999, open_requests=3)])
def test_too_many_open_requests_are_named_where_no_quota_is_used_up(exceeded: Exceeded) -> None:
    error = error_of(exceeded)
    assert "3 requests in progress" in error.message
    assert error.headers == {}  # nobody knows when one of them ends


@pytest.mark.parametrize(
    ("exceeded", "quota"),
    [
        (used(10_000, 0), "days built is 10,000 a day, and 10,000 were"),
        (used(10_001, 7_000_000, open_requests=3), "days built is 10,000 a day, and 10,001 were"),
        (used(1, 5_000_000), "bytes built is 5,000,000 a day, and 5,000,000 were"),
        (used(9_999, 6_000_000, open_requests=3), "bytes built is 5,000,000 a day, and 6,000,000 were"),
    ],
)
def test_a_used_up_quota_is_named_with_its_end(exceeded: Exceeded, quota: str) -> None:
    error = error_of(exceeded)
    assert quota in error.message
    assert "2027-01-01T00:00:00Z" in error.message
    assert error.headers == {"Retry-After": "3600"}


@pytest.mark.parametrize(("left", "told"), [(86_400, "86400"), (1.2, "2"), (1, "1"), (0.1, "1"), (0, "1")])
def test_who_waits_as_told_comes_on_the_next_day(left: float, told: str) -> None:
    assert error_of(used(10_000, 0, left=left)).headers["Retry-After"] == told


def test_the_limits_are_those_of_the_settings() -> None:
    settings = LimitSettings(
        max_open_requests_per_partner=7, max_days_built_per_key=8, max_bytes_built_per_key=2 * 1024**2
    )
    assert submit_limits(settings) == Limits(7, 8, 2 * 1024**2)
