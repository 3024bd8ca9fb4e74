"""The verdict on a stage, replayed from what a sampler would have seen."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import pytest

from exhaust.lag.sentences import overall, sentences
from exhaust.lag.stages import Readers, Rewind, Stage, StageSample, UnknownStage
from exhaust.lag.verdict import Targets, Urgency, Verdict, Word, judge, urgency, worst

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

START: Final = datetime(2026, 11, 30, 3, 0, tzinfo=UTC)
EVERY: Final = timedelta(seconds=15)
TARGETS: Final = Targets()
READERS: Final = Readers("aggregator-build", 2, committed_at=START)


def replay(look: Callable[[timedelta], StageSample], lasting: timedelta) -> list[StageSample]:
    """Samples of a stage every 15 s, as a scenario gives them at each time since its start."""
    return [look(EVERY * number) for number in range(lasting // EVERY + 1)]


def days(
    at: timedelta,
    *,
    waiting: int,
    age: timedelta | None,
    done: int = 0,
    readers: Readers = READERS,
    progress: timedelta | None = None,
) -> StageSample:
    """A sample of the build stage."""
    now = START + at
    return StageSample(
        Stage.BUILD,
        now,
        messages=waiting,
        work_days=waiting,
        oldest=None if age is None else now - age,
        done=done,
        requests=min(waiting, 7),
        partners=1,
        readers=readers,
        progress_at=None if progress is None else START + progress,
    )


def idle_night(at: timedelta) -> StageSample:
    return days(at, waiting=0, age=None)


def tiny_lag(at: timedelta) -> StageSample:
    return days(at, waiting=1 + at.seconds // 15 % 3, age=timedelta(seconds=1), readers=_committing(at))


def long_day(at: timedelta) -> StageSample:
    """One day takes 20 minutes; its worker tells of growing bytes."""
    return days(at, waiting=1, age=at, progress=at)


def longer_day_than_the_target(at: timedelta) -> StageSample:
    return days(at, waiting=1, age=at, progress=at)


def frozen_worker(at: timedelta) -> StageSample:
    """Its members are still there, and do nothing."""
    return days(at, waiting=45, age=at, progress=timedelta())


def started_on_an_old_backlog(at: timedelta) -> StageSample:
    """Nobody read for two hours; a minute ago a worker came, and its first day takes 4 minutes."""
    joined = START + timedelta(seconds=15)
    readers = replace(READERS, committed_at=START - timedelta(hours=2), joined_at=joined)
    if at >= timedelta(minutes=4):
        readers = _committing(at)
    return days(at, waiting=300 - at.seconds // 240, age=timedelta(hours=2), readers=readers)


def started_and_frozen(at: timedelta) -> StageSample:
    readers = replace(READERS, committed_at=START - timedelta(hours=2), joined_at=START)
    return days(at, waiting=300, age=timedelta(hours=2) + at, readers=readers)


def no_members(at: timedelta) -> StageSample:
    return days(at, waiting=45, age=at, readers=Readers("aggregator-build", 0, absent_since=START))


def restarting_worker(at: timedelta) -> StageSample:
    """For half a minute there is no member."""
    away = timedelta(seconds=15) <= at < timedelta(seconds=45)
    readers = Readers("aggregator-build", 0, absent_since=START + timedelta(seconds=15)) if away else _committing(at)
    return days(at, waiting=5, age=min(at, timedelta(seconds=30)), readers=readers)


def burst_that_drains(at: timedelta) -> StageSample:
    """300 days come at once, and 4 are done each second."""
    left = max(300 - 4 * at.seconds, 0)
    return days(at, waiting=left, age=at if left else None, done=300 - left, readers=_committing(at), progress=at)


def growing(at: timedelta) -> StageSample:
    return days(at, waiting=100 + at.seconds, age=timedelta(hours=1), readers=_committing(at), progress=at)


def draining_late(at: timedelta) -> StageSample:
    return days(at, waiting=5000 - at.seconds, age=timedelta(hours=1), readers=_committing(at), progress=at)


def rewound(at: timedelta) -> StageSample:
    rewind = Rewind(START + timedelta(minutes=1), "dataset.days", 3, 258, 156)
    return replace(days(at, waiting=102, age=at, readers=_committing(at)), rewind=rewind)


def held_by_limit(at: timedelta) -> StageSample:
    return StageSample(Stage.OUTBOX, START + at, 3, 12, START, done=0, requests=3, partners=1, held=3)


def held_and_paused(at: timedelta) -> StageSample:
    return replace(held_by_limit(at), held=1, paused=2)


def one_held_and_one_free(at: timedelta) -> StageSample:
    return replace(held_by_limit(at), held=2)


def _committing(at: timedelta) -> Readers:
    return replace(READERS, committed_at=START + at)


@pytest.mark.parametrize(
    ("scenario", "lasting", "word"),
    [
        (idle_night, timedelta(hours=3), Word.IDLE),
        (tiny_lag, timedelta(minutes=20), Word.KEEPS_UP),
        (long_day, timedelta(minutes=20), Word.KEEPS_UP),
        (longer_day_than_the_target, timedelta(minutes=50), Word.KEEPS_UP),
        (frozen_worker, timedelta(minutes=4), Word.KEEPS_UP),
        (frozen_worker, timedelta(minutes=6), Word.STUCK),
        (started_on_an_old_backlog, timedelta(seconds=15), Word.CATCHING_UP),
        (started_on_an_old_backlog, timedelta(minutes=3), Word.CATCHING_UP),
        (started_on_an_old_backlog, timedelta(minutes=12), Word.CATCHING_UP),
        (started_and_frozen, timedelta(minutes=4), Word.CATCHING_UP),
        (started_and_frozen, timedelta(minutes=5), Word.STUCK),
        (no_members, timedelta(seconds=45), Word.KEEPS_UP),
        (no_members, timedelta(seconds=60), Word.NOBODY_READS),
        (restarting_worker, timedelta(seconds=30), Word.KEEPS_UP),
        (restarting_worker, timedelta(minutes=2), Word.KEEPS_UP),
        (burst_that_drains, timedelta(seconds=30), Word.CATCHING_UP),
        (burst_that_drains, timedelta(seconds=75), Word.IDLE),
        (growing, timedelta(minutes=9), Word.KEEPS_UP),
        (growing, timedelta(minutes=10), Word.FALLING_BEHIND),
        (draining_late, timedelta(minutes=30), Word.CATCHING_UP),
        (rewound, timedelta(minutes=2), Word.REWOUND),
        (held_by_limit, timedelta(minutes=20), Word.HELD_BY_LIMIT),
        (held_and_paused, timedelta(hours=2), Word.HELD_BY_LIMIT),
        (one_held_and_one_free, timedelta(minutes=20), Word.KEEPS_UP),
        (idle_night, timedelta(), Word.IDLE),  # the console has just started
        (burst_that_drains, timedelta(), Word.KEEPS_UP),
    ],
)
def test_the_word_at_the_end_of_a_scenario(
    scenario: Callable[[timedelta], StageSample], lasting: timedelta, word: Word
) -> None:
    assert at_the_end(replay(scenario, lasting)).word is word


@pytest.mark.parametrize(
    ("scenario", "lasting"),
    [
        (idle_night, timedelta(hours=3)),
        (tiny_lag, timedelta(hours=1)),
        (long_day, timedelta(minutes=20)),
        (restarting_worker, timedelta(minutes=10)),
        (started_on_an_old_backlog, timedelta(minutes=20)),
        (burst_that_drains, timedelta(minutes=2)),
        (held_by_limit, timedelta(hours=2)),
        (draining_late, timedelta(hours=1)),
    ],
)
def test_a_quiet_scenario_alarms_nobody_at_any_time(
    scenario: Callable[[timedelta], StageSample], lasting: timedelta
) -> None:
    history = replay(scenario, lasting)
    found = {at_the_end(history[:end]).urgency for end in range(1, len(history) + 1)}
    assert found == {Urgency.HEALTHY}


def test_a_stage_is_stuck_only_after_three_times_the_time_of_a_slow_day() -> None:
    history = replay(frozen_worker, timedelta(minutes=20))
    assert at_the_end(history, day_p95=timedelta(minutes=7)).word is not Word.STUCK
    assert at_the_end(history, day_p95=timedelta(minutes=6)).word is Word.STUCK


def test_a_forecast_holds_the_true_end() -> None:
    verdict = at_the_end(replay(burst_that_drains, timedelta(seconds=30)))
    assert verdict.drains is not None
    assert verdict.drains.least <= timedelta(seconds=45) <= verdict.drains.most


@pytest.mark.parametrize("scenario", [no_members, frozen_worker, growing, long_day, idle_night])
def test_only_what_shrinks_has_a_forecast(scenario: Callable[[timedelta], StageSample]) -> None:
    assert at_the_end(replay(scenario, timedelta(minutes=20))).drains is None


def test_an_old_sample_is_unknown_and_calls_for_somebody_after_a_while() -> None:
    history = replay(idle_night, timedelta())
    for age, expected in [
        (30, Urgency.HEALTHY),
        (31, Urgency.ATTENTION),
        (120, Urgency.ATTENTION),
        (121, Urgency.PAGE),
    ]:
        verdict = judge(history, now=START + timedelta(seconds=age), targets=TARGETS)
        assert verdict.urgency is expected
        assert (verdict.word is Word.UNKNOWN) is (age > 30)


@pytest.mark.parametrize("why", ["Kafka does not answer", "PostgreSQL does not answer"])
def test_a_stage_that_cannot_be_seen_is_unknown_and_never_zero(why: str) -> None:
    verdict = judge(UnknownStage(Stage.PLAN, why), now=START, targets=TARGETS)
    assert (verdict.word, verdict.urgency, verdict.why) == (Word.UNKNOWN, Urgency.PAGE, why)
    last = days(timedelta(), waiting=4, age=timedelta(seconds=1))
    verdict = judge(UnknownStage(Stage.BUILD, why, last), now=START + timedelta(seconds=10), targets=TARGETS)
    assert (verdict.word, verdict.urgency) == (Word.UNKNOWN, Urgency.ATTENTION)
    assert why in sentences(verdict, START + timedelta(seconds=10)).what


def test_the_worst_word_wins_and_the_greatest_urgency() -> None:
    frozen = at_the_end(replay(frozen_worker, timedelta(minutes=6)))
    quiet = at_the_end(replay(idle_night, timedelta(minutes=6)))
    unknown = judge(
        UnknownStage(Stage.OUTBOX, "PostgreSQL does not answer", quiet.sample), now=quiet_time(quiet), targets=TARGETS
    )
    assert worst([quiet, frozen]) is frozen
    assert worst([quiet, frozen, unknown]) is unknown
    assert urgency([quiet, frozen, unknown]) is Urgency.PAGE
    assert urgency([quiet]) is Urgency.HEALTHY


@pytest.mark.parametrize(
    ("scenario", "lasting", "said"),
    [
        (no_members, timedelta(minutes=2), "Nobody builds. 7 requests of 1 partner stand still, the oldest for 2 min."),
        (frozen_worker, timedelta(minutes=6), "its members have done nothing for 6 min. 7 requests of 1 partner stand"),
        (rewound, timedelta(minutes=2), "dataset.days/3 fell from 258 to 156, 60 s ago"),
        (growing, timedelta(minutes=11), "falls behind: 760 days of work"),
        (held_by_limit, timedelta(minutes=2), "In the outbox wait 3 requests for their turn"),
        (held_and_paused, timedelta(minutes=2), "and 2 requests until an operator resumes them (exhaustctl pauses)."),
        (burst_that_drains, timedelta(seconds=30), "catches up: 180 days of work, done in 22 s to 90 s."),
        (
            started_on_an_old_backlog,
            timedelta(minutes=3),
            "The build stage begins: its members joined 2 min ago. 300 days of work, the oldest waits for 2 h.",
        ),
        (idle_night, timedelta(minutes=2), "Nothing waits."),
    ],
)
def test_the_sentence(scenario: Callable[[timedelta], StageSample], lasting: timedelta, said: str) -> None:
    history = replay(scenario, lasting)
    told = sentences(at_the_end(history), history[-1].at)
    assert said in told.what
    assert bool(told.do) is (at_the_end(history).urgency is not Urgency.HEALTHY)


def test_the_sentence_for_all_says_catching_up_only_once_something_was_done() -> None:
    begun = at_the_end(replay(started_on_an_old_backlog, timedelta(minutes=3)))
    draining = at_the_end(replay(burst_that_drains, timedelta(seconds=30)))
    assert overall(begun, 300, START + timedelta(minutes=3)).what.startswith("The build stage begins:")
    assert overall(draining, 180, START).what.startswith("The workers catch up: 180 days of work are left, done in ")


def at_the_end(history: Sequence[StageSample], day_p95: timedelta | None = None) -> Verdict:
    return judge(history, now=history[-1].at, targets=TARGETS, day_p95=day_p95)


def quiet_time(verdict: Verdict) -> datetime:
    assert verdict.sample is not None
    return verdict.sample.at
