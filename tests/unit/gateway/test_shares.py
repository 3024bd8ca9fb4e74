"""Shares: one holder never takes more than its own places, and gives each back however its call ends."""

from contextlib import ExitStack

import pytest

from exhaust.errors import ErrorCode, ExhaustError
from services.gateway.handlers.status import list_cost
from services.gateway.settings import ShareSettings
from services.gateway.shares import MAX_CHANGES, MAX_DOWNLOADS, MAX_LISTS, MAX_STREAMS, MAX_WAITS, Share, Shares


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


def test_one_holder_takes_each_place_of_its_share_and_no_other() -> None:
    share = Share("downloads", per_holder=3, total=3)
    with taken(share, 1, 1, 1):
        with pytest.raises(ExhaustError, match="3 downloads at work") as refused, share.hold(1):
            pass
        assert refused.value.code is ErrorCode.RATE_LIMITED  # the holder's own limit is told first
        with pytest.raises(ExhaustError, match="too many downloads") as refused, share.hold(2):
            pass
        assert refused.value.code is ErrorCode.SERVICE_UNAVAILABLE
    with taken(share, 1, 1, 1):
        assert len(share) == 3


def test_a_place_that_is_given_back_is_one_place() -> None:
    share = Share("downloads", per_holder=2, total=9)
    with taken(share, 1, 1):
        pass
    with taken(share, 1):
        with taken(share, 1):
            pass
        with taken(share, 1), pytest.raises(ExhaustError), share.hold(1):
            pass
        assert len(share) == 1


def test_a_gateway_has_the_shares_of_its_settings() -> None:
    """The totals are what pools and memory are made for: changing one means to look at those."""
    assert (MAX_WAITS, MAX_LISTS, MAX_DOWNLOADS, MAX_STREAMS, MAX_CHANGES) == (400, 16, 1024, 128, 64)
    shares = Shares.of(ShareSettings(max_waits_per_key=1, max_lists_per_key=2, max_downloads_per_key=3))
    expected = (
        (shares.waits, "1 waiting status calls", 1, MAX_WAITS),
        (shares.lists, "2 lists", 2, MAX_LISTS),
        (shares.downloads, "3 downloads", 3, MAX_DOWNLOADS),
        (shares.streams, "3 downloads", 3, MAX_STREAMS),
        (shares.changes, "8 cancels, retries and deletions", 8, MAX_CHANGES),
    )
    for share, named, per_key, total in expected:
        with taken(share, *[0] * per_key, *range(1, total - per_key + 1)):
            with pytest.raises(ExhaustError, match=named), share.hold(0):
                pass
            with pytest.raises(ExhaustError, match="too many") as refused, share.hold(-1):
                pass
            assert refused.value.code is ErrorCode.SERVICE_UNAVAILABLE
            assert len(share) == total


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
