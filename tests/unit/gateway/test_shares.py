"""Shares: one holder never takes more than its own places, and gives each back however its call ends."""

from contextlib import ExitStack

import pytest

from exhaust.errors import ErrorCode, ExhaustError
from services.gateway.handlers.status import list_cost
from services.gateway.shares import Share


def taken(share: Share, *users: int) -> ExitStack:
    held = ExitStack()
    for user in users:
        held.enter_context(share.hold(user))
    return held


def test_a_holder_over_its_share_is_refused_and_others_are_not() -> None:
    share = Share("downloads", per_holder=2, total=10)
    with taken(share, 1, 1):
        with pytest.raises(ExhaustError, match="2 downloads") as refused, share.hold(1):
            pass
        assert refused.value.code is ErrorCode.RATE_LIMITED
        with share.hold(2):
            assert len(share) == 3
    with taken(share, 1, 1):
        assert len(share) == 2
    assert len(share) == 0


def test_all_holders_together_have_a_limit_too() -> None:
    share = Share("downloads", per_holder=2, total=3)
    with taken(share, 1, 2, 3):
        with pytest.raises(ExhaustError) as refused, share.hold(4):
            pass
        assert refused.value.code is ErrorCode.SERVICE_UNAVAILABLE
    with share.hold(4):
        assert len(share) == 1


def test_a_call_that_fails_gives_its_place_back() -> None:
    share = Share("downloads", per_holder=1, total=1)
    for _ in range(3):
        with pytest.raises(ValueError, match="broken"), share.hold(1):
            raise ValueError("broken")
    assert len(share) == 0


@pytest.mark.parametrize(
    ("limit", "cost"), [(None, 6), ("1", 1), ("9", 1), ("10", 2), ("100", 11), ("999999", 11), ("none", 6), ("-5", 6)]
)
def test_a_list_costs_by_its_length(limit: str | None, cost: int) -> None:
    assert list_cost(limit) == cost
