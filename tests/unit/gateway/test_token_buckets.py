"""Token buckets on a clock that the tests turn."""

from dataclasses import dataclass
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.gateway.token_buckets import TokenBuckets


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_full_bucket_holds_a_minute_of_calls_and_then_refuses() -> None:
    buckets = TokenBuckets(60, Clock())
    taken = [buckets.check("a") for _ in range(60)]
    assert all(allowance.allowed for allowance in taken)
    assert [allowance.remaining for allowance in taken] == list(range(59, -1, -1))
    refused = buckets.check("a")
    assert (refused.allowed, refused.remaining, refused.limit) == (False, 0, 60)
    assert buckets.check("b").allowed


def test_a_bucket_refills_evenly_and_a_refused_call_takes_nothing() -> None:
    clock = Clock()
    buckets = TokenBuckets(60, clock)
    while buckets.check("a").allowed:
        pass
    for _ in range(1000):
        assert not buckets.check("a").allowed
    clock.now += 0.9
    assert not buckets.check("a").allowed
    clock.now += 0.2
    assert buckets.check("a").allowed
    assert not buckets.check("a").allowed
    clock.now += 3600
    assert buckets.check("a").remaining == 59


def test_the_headers_say_what_is_left_and_when_to_come_back() -> None:
    clock = Clock()
    buckets = TokenBuckets(2, clock)
    assert buckets.check("a").headers() == {
        "RateLimit-Limit": "2",
        "RateLimit-Remaining": "1",
        "RateLimit-Reset": "30",
    }
    buckets.check("a")
    clock.now += 10
    refused = buckets.check("a")
    assert refused.headers() == {
        "RateLimit-Limit": "2",
        "RateLimit-Remaining": "0",
        "RateLimit-Reset": "20",
        "Retry-After": "20",
    }
    clock.now += refused.reset_seconds
    assert buckets.check("a").allowed


def test_buckets_are_bounded_and_drop_the_caller_whose_last_call_is_longest_ago() -> None:
    buckets = TokenBuckets(1, Clock(), max_buckets=3)
    assert all(buckets.check(key).allowed for key in "abc")
    assert not buckets.check("a").allowed  # seen again, so b is the quietest
    assert buckets.check("d").allowed
    assert len(buckets) == 3
    assert not buckets.check("a").allowed
    assert buckets.check("b").allowed


@given(st.integers(1, 1000), st.lists(st.floats(0, 30), max_size=200))
def test_a_caller_gets_at_most_the_bucket_and_its_refill(per_minute: int, waits: list[float]) -> None:
    clock = Clock()
    buckets = TokenBuckets(per_minute, clock)
    allowed = 0
    for wait in waits:
        clock.now += wait
        allowance = buckets.check("a")
        allowed += allowance.allowed
        assert 0 <= allowance.remaining <= per_minute
        assert allowance.reset_seconds >= 1
    assert allowed <= per_minute + sum(waits) * per_minute / 60 + 1e-3


def test_a_costly_call_takes_several_and_one_that_costs_more_than_all_takes_all() -> None:
    clock = Clock()
    buckets = TokenBuckets(60, clock)
    assert buckets.check("a", 50).remaining == 10
    refused = buckets.check("a", 11)
    assert (refused.allowed, refused.remaining, refused.reset_seconds) == (False, 10, 1)
    clock.now += 1
    assert buckets.check("a", 11).allowed
    assert buckets.check("b", 1000).remaining == 0


def test_a_bucket_of_an_hour_fills_in_an_hour() -> None:
    clock = Clock()
    buckets = TokenBuckets(60, clock, period=timedelta(hours=1))
    while buckets.check("a").allowed:
        pass
    assert buckets.check("a").headers()["Retry-After"] == "60"
    clock.now += 60
    assert buckets.check("a").allowed
    assert not buckets.check("a").allowed


def test_a_refused_caller_waits_whole_seconds_and_at_least_one() -> None:
    clock = Clock()
    buckets = TokenBuckets(60, clock)
    buckets.check("a", 60)
    clock.now += 0.5
    assert buckets.check("a", 2).reset_seconds == 2  # 1.5 s
    assert TokenBuckets(10**9, clock).check("a").reset_seconds == 1


def test_a_clock_that_has_just_started_is_as_good_as_any() -> None:
    clock = Clock(now=0.5)
    buckets = TokenBuckets(60, clock)
    buckets.check("a", 60)
    clock.now = 10.5
    assert buckets.check("a").remaining == 9
