from __future__ import annotations

import pytest

from bench.bars import Bar, Pairs, at_least, at_most, verdict


@pytest.mark.parametrize(
    ("bar", "holds"),
    [
        (at_least("speed", 10.0, 10, "x"), True),
        (at_least("speed", 9.99, 10, "x"), False),
        (at_most("memory", 256.0, 256, "MiB"), True),
        (at_most("memory", 256.1, 256, "MiB"), False),
    ],
)
def test_a_bar_holds_up_to_its_limit(bar: Bar, *, holds: bool) -> None:
    assert bar.holds is holds


def test_a_row_tells_the_figure_the_limit_and_the_verdict() -> None:
    assert at_least("filter", 12.345, 10, "x").row == ("filter", "12.35 x", "≥ 10 x", "holds")
    assert at_most("wait", 701.2, 700, "ms").row == ("wait", "701 ms", "≤ 700 ms", "falls short")


def test_the_ratio_is_the_median_of_the_rounds_and_not_of_the_times() -> None:
    # The second round was disturbed, for both alike. The medians of the times are 1 and 4.
    pairs = Pairs(ours=(1.0, 10.0, 1.0), theirs=(2.0, 30.0, 4.0))
    assert pairs.times_faster == 3.0
    assert Pairs(ours=(2.0,), theirs=(1.0,)).times_faster == 0.5


def test_pairs_of_unequal_length_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        _ = Pairs(ours=(1.0, 2.0), theirs=(1.0,)).times_faster


def test_the_verdict_counts() -> None:
    good, bad = at_least("a", 2, 1, "x"), at_most("b", 2, 1, "x")
    assert verdict([good, bad, good]) == "2 bars hold, 1 fall short"
    assert verdict([good]) == "1 bars hold, 0 fall short"
