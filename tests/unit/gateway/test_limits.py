"""Token buckets on a clock that the tests turn; which address a call comes from; who may register."""

from dataclasses import dataclass

import pytest
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from exhaust.errors import ErrorCode, ExhaustError
from services.gateway.limits import LimitSettings, TokenBuckets, caller_address, check_registration

TOKEN = "a registration token"


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


def test_a_bucket_fills_evenly_and_a_refused_call_costs_nothing() -> None:
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


def test_buckets_are_bounded_and_the_quietest_is_forgotten() -> None:
    buckets = TokenBuckets(1, Clock(), max_buckets=3)
    assert all(buckets.check(key).allowed for key in "abc")
    assert not buckets.check("a").allowed  # seen again, so b is the quietest
    assert buckets.check("d").allowed
    assert len(buckets) == 3
    assert not buckets.check("a").allowed
    assert buckets.check("b").allowed


@given(st.integers(1, 1000), st.lists(st.floats(0, 30), max_size=200))
def test_nobody_gets_more_than_the_bucket_and_what_flowed_in(per_minute: int, waits: list[float]) -> None:
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


@pytest.mark.parametrize(
    ("proxies", "forwarded", "expected"),
    [
        (0, ["203.0.113.9"], "192.0.2.1"),
        (1, [], "192.0.2.1"),
        (1, ["203.0.113.9"], "203.0.113.9"),
        (1, ["198.51.100.7, 203.0.113.9"], "203.0.113.9"),
        (2, ["10.0.0.1, 198.51.100.7", "203.0.113.9"], "198.51.100.7"),
        (3, ["198.51.100.7, 203.0.113.9"], "192.0.2.1"),
        (1, ["nonsense"], "192.0.2.1"),
        (1, ["2001:db8:1:2:3:4:5:6"], "2001:db8:1:2::/64"),
        (1, ["2001:DB8:1:2::9"], "2001:db8:1:2::/64"),
        (1, ["::ffff:203.0.113.9"], "203.0.113.9"),
    ],
)
def test_a_call_comes_from_the_address_that_the_last_trusted_proxy_saw(
    proxies: int, forwarded: list[str], expected: str
) -> None:
    request = make_mocked_request("POST", "/", headers=[("X-Forwarded-For", line) for line in forwarded])
    assert caller_address(request.clone(remote="192.0.2.1"), proxies) == expected


def refusal(settings: LimitSettings, headers: dict[str, str]) -> ErrorCode:
    with pytest.raises(ExhaustError) as refused:
        check_registration(settings, headers)
    return refused.value.code


def test_registration_is_open_closed_or_for_those_with_the_token() -> None:
    check_registration(LimitSettings(registration="open"), {})
    assert refusal(LimitSettings(registration="closed"), {}) is ErrorCode.AUTHORIZATION_FAILED
    settings = LimitSettings(registration="token", registration_token=SecretStr(TOKEN))
    check_registration(settings, {"Authorization": f"Bearer {TOKEN}"})
    for wrong in ("", TOKEN, f"Basic {TOKEN}", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", "Bearer \udce9"):
        assert refusal(settings, {"Authorization": wrong}) is ErrorCode.LOGIN_FAILED


def test_a_token_mode_without_a_token_is_refused_and_a_bad_token_is_not_shown() -> None:
    with pytest.raises(ValidationError, match="EXHAUST_REGISTRATION_TOKEN must be set"):
        LimitSettings(registration="token")
    with pytest.raises(ValidationError) as refused:
        LimitSettings(registration="token", registration_token=SecretStr("tiny secret"))
    assert "tiny secret" not in str(refused.value)
