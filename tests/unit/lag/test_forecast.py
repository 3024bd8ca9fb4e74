"""The forecast of when nothing waits any more."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

import pytest

from exhaust.lag.forecast import SETTLED, DrainRange, Point, done_per_minute, drains_in, sums
from exhaust.lag.stages import Stage, StageSample

START: Final = datetime(2026, 11, 30, 3, 0, tzinfo=UTC)


def series(*waiting: int, every: int = 5) -> list[Point]:
    """What waited, at times that are so many seconds apart."""
    return [Point(START + number * timedelta(seconds=every), amount) for number, amount in enumerate(waiting)]


def seconds(found: DrainRange | None) -> tuple[float, float]:
    assert found is not None
    return found.least.total_seconds(), found.most.total_seconds()


@pytest.mark.parametrize("every", [2, 5, 15])
def test_a_steady_speed_foresees_the_true_end(every: int) -> None:
    foreseen = 0
    for done in range(2, 40):
        history = series(*(200 - 5 * number for number in range(done)), every=every)
        if (done - 1) * every >= SETTLED.total_seconds():
            least, most = seconds(drains_in(history))
            assert least <= history[-1].waiting / 5 * every <= most
            foreseen += 1
    assert foreseen > 30


def test_the_time_before_readers_came_does_not_count() -> None:
    history = series(*[200] * 60, *(200 - 10 * number for number in range(1, 5)))
    assert seconds(drains_in(history)) == pytest.approx((40, 160))  # 160 are left, 2 a second


def test_a_backlog_that_has_only_just_begun_to_shrink_has_no_forecast() -> None:
    assert drains_in(series(200, 200, 199)) is None


@pytest.mark.parametrize(
    "history",
    [
        series(),
        series(0),
        series(10, 5, 0),
        series(5, 5, 5, 5, 5),
        series(5, 6, 7, 8, 9),
        series(300, 200, 100, 0, 1, 2, 3, 4),  # what was done is no part of what comes now
        series(300, 250, 200, 200, 210, 220, 230),  # it shrank once, and grows now
    ],
)
def test_what_does_not_shrink_has_no_forecast(history: list[Point]) -> None:
    assert drains_in(history) is None


def test_a_pause_of_a_few_samples_keeps_the_forecast() -> None:
    assert drains_in(series(100, 90, 80, 70, 60, 60, 60, 60, 60)) is not None


def test_work_that_moves_to_the_next_stage_is_not_done() -> None:
    def stage(name: Stage, *days: int) -> list[StageSample]:
        return [
            StageSample(name, START + number * timedelta(seconds=5), 0, amount, None, 0)
            for number, amount in enumerate(days)
        ]

    together = sums([stage(Stage.OUTBOX, 0, 0, 0), stage(Stage.PLAN, 31, 10, 0), stage(Stage.BUILD, 0, 20, 25)])
    assert [point.waiting for point in together] == [31, 30, 25]


def test_a_time_at_which_not_all_stages_were_seen_is_left_out() -> None:
    one = [StageSample(Stage.PLAN, START, 0, 5, None, 0)]
    two = [StageSample(Stage.BUILD, at, 0, 7, None, 0) for at in (START, START + SETTLED)]
    assert sums([one, two]) == [Point(START, 12)]


def test_a_rate_wants_half_a_minute_and_looks_back_five() -> None:
    def done(*counts: int, every: int) -> float | None:
        span = timedelta(seconds=every)
        samples = [StageSample(Stage.BUILD, START + n * span, 0, 0, None, count) for n, count in enumerate(counts)]
        return done_per_minute(samples)

    assert done(0, 5, every=15) is None
    assert done(0, 5, 10, every=15) == 20
    assert done(0, 1000, 1000, 1012, every=240) == 3
    assert done(7, 7, 7, every=60) == 0
