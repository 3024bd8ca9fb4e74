"""The verdict on a stage, and on all of them: one word, why, who suffers, and what to do.

The words, worst first, and when each holds:

| word | holds when |
| --- | --- |
| UNKNOWN | the stage could not be looked at, or not enough of it, or its sample is too old |
| NOBODY READS | something waits, and the group has had no member for a while |
| STUCK | something waits for members, and for long none of them has committed or told of progress |
| REWOUND | a committed offset fell |
| FALLING BEHIND | the oldest waits longer than it should, and in ten minutes the work grew, or nothing of it was done |
| HELD BY LIMIT | all that waits in the outbox is of partners who are at their limit, or paused by operators |
| CATCHING UP | the oldest has waited for a while, and the work shrinks, or who reads it has only just joined |
| KEEPS UP | something waits, and not for long; or a long day makes progress |
| IDLE | nothing waits |
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING, Final

from exhaust.lag.forecast import drains_in, growth, points
from exhaust.lag.stages import UnknownStage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from exhaust.lag.forecast import DrainRange
    from exhaust.lag.stages import Stage, StageSample

GROWTH_OVER: Final = timedelta(minutes=10)
SLOWEST_DAYS: Final = 3  # a stage is stuck after this many times the 95th percentile of a day's time


class Word(StrEnum):
    """The verdict in one word, worst first."""

    UNKNOWN = "UNKNOWN"
    NOBODY_READS = "NOBODY READS"
    STUCK = "STUCK"
    REWOUND = "REWOUND"
    FALLING_BEHIND = "FALLING BEHIND"
    HELD_BY_LIMIT = "HELD BY LIMIT"
    CATCHING_UP = "CATCHING UP"
    KEEPS_UP = "KEEPS UP"
    IDLE = "IDLE"

    @property
    def rank(self) -> int:
        """The order of words; the worst is 0."""
        return list(Word).index(self)


class Urgency(IntEnum):
    """The urgency of a verdict; also the exit code of `exhaustctl now`."""

    HEALTHY = 0
    ATTENTION = 1  # in working hours
    PAGE = 2  # now


URGENCY: Final = {
    Word.UNKNOWN: Urgency.ATTENTION,
    Word.NOBODY_READS: Urgency.PAGE,
    Word.STUCK: Urgency.PAGE,
    Word.REWOUND: Urgency.ATTENTION,
    Word.FALLING_BEHIND: Urgency.ATTENTION,
    Word.HELD_BY_LIMIT: Urgency.HEALTHY,
    Word.CATCHING_UP: Urgency.HEALTHY,
    Word.KEEPS_UP: Urgency.HEALTHY,
    Word.IDLE: Urgency.HEALTHY,
}

# What a stage's topic says by itself: it stays true when the rest could not be seen.
_SEEN_ON_KAFKA_ALONE: Final = frozenset({Word.NOBODY_READS, Word.STUCK, Word.REWOUND})


@dataclass(frozen=True, slots=True)
class Targets:
    """The times from which on something is the matter.

    Attributes:
        oldest: how long anything should wait in a stage at most.
        sample_age: of a sample, from which on nothing is known.
        blind_after: from which on that calls for somebody at once.
        nobody_after: how long a group may be without members, as in a restart.
        stuck_after: how long members may neither commit nor tell of progress, also after they joined.
        backlog_from: how long the oldest has waited at least where work is caught up, rather than kept up with.
        rewind_shown_for: how long after an offset fell the verdict says so.
    """

    oldest: timedelta = timedelta(minutes=30)
    sample_age: timedelta = timedelta(seconds=30)
    blind_after: timedelta = timedelta(minutes=2)
    nobody_after: timedelta = timedelta(seconds=60)
    stuck_after: timedelta = timedelta(minutes=5)
    backlog_from: timedelta = timedelta(seconds=10)
    rewind_shown_for: timedelta = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is the matter with a stage.

    Attributes:
        since: when it began, as far as that is known.
        sample: what it was judged by; None when there is nothing.
        why: of UNKNOWN, what could not be seen; else empty.
        drains: of CATCHING UP, when it is over; None while that is not known.
    """

    stage: Stage
    word: Word
    urgency: Urgency
    since: datetime | None
    sample: StageSample | None
    why: str = ""
    drains: DrainRange | None = None


def judge(
    history: Sequence[StageSample] | UnknownStage, *, now: datetime, targets: Targets, day_p95: timedelta | None = None
) -> Verdict:
    """Judge a stage.

    Args:
        history: its samples, oldest first; or that and why it could not be looked at.
        now: the present time.
        targets: from when on something is the matter.
        day_p95: the 95th percentile of a day's time, as workers tell it; None when none does.
    """
    if isinstance(history, UnknownStage):
        return _unknown(history, now, targets)
    sample = history[-1]
    if now - sample.at > targets.sample_age:
        return _unknown(UnknownStage(sample.stage, "nobody has looked since", sample), now, targets)
    look = _Look(history, targets, day_p95)
    word = next(word for word, holds in _RULES if holds(look))
    if sample.unseen and word not in _SEEN_ON_KAFKA_ALONE:
        seen = next((earlier for earlier in reversed(history) if not earlier.unseen), None)
        return _unknown(UnknownStage(sample.stage, sample.unseen, seen, sample.left_out), now, targets)
    drains = drains_in(points(history)) if word is Word.CATCHING_UP else None
    return Verdict(sample.stage, word, URGENCY[word], _since(word, look), sample, drains=drains)


def worst(verdicts: Sequence[Verdict]) -> Verdict:
    """Return the verdict on all stages: the worst word; of equal ones, the first on a request's way."""
    return min(verdicts, key=lambda verdict: verdict.word.rank)


def urgency(verdicts: Sequence[Verdict]) -> Urgency:
    """Return the urgency of all stages, which is the greatest of any."""
    return max(verdict.urgency for verdict in verdicts)


def _unknown(unknown: UnknownStage, now: datetime, targets: Targets) -> Verdict:
    last = unknown.last
    since = last.at if last else None
    blind = not unknown.left_out and (since is None or now - since > targets.blind_after)
    level = Urgency.PAGE if blind else Urgency.ATTENTION
    return Verdict(unknown.stage, Word.UNKNOWN, level, since, last, unknown.why)


@dataclass(frozen=True, slots=True)
class _Look:
    """All that the rules look at."""

    history: Sequence[StageSample]
    targets: Targets
    day_p95: timedelta | None

    @property
    def sample(self) -> StageSample:
        return self.history[-1]

    @property
    def age(self) -> timedelta:
        return self.sample.age or timedelta()

    @property
    def absent_since(self) -> datetime | None:
        """Since when nobody has read what waits; None when somebody does, or nothing waits."""
        readers = self.sample.readers
        return readers.absent_since if readers and not readers.members and self.sample.messages else None

    @property
    def still_since(self) -> datetime | None:
        """Since when the members have done nothing, while something waited; None when nothing waits or nobody reads."""
        sample = self.sample
        if sample.readers is None or not sample.readers.members or not sample.messages or sample.oldest is None:
            return None
        signs = [sample.readers.committed_at, sample.readers.joined_at, sample.progress_at, sample.oldest]
        return max(sign for sign in signs if sign is not None)

    @property
    def begins(self) -> bool:
        """Return True while members that have not committed yet are new."""
        readers = self.sample.readers
        joined = readers.joined_at if readers and readers.members else None
        return joined is not None and not self.lasts(joined, self.patience)

    @property
    def patience(self) -> timedelta:
        """How long members may show no sign of progress."""
        return max(self.targets.stuck_after, (self.day_p95 or timedelta()) * SLOWEST_DAYS)

    def lasts(self, since: datetime | None, least: timedelta) -> bool:
        return since is not None and self.sample.at - since >= least


def _nobody_reads(look: _Look) -> bool:
    return look.lasts(look.absent_since, look.targets.nobody_after)


def _is_stuck(look: _Look) -> bool:
    return look.lasts(look.still_since, look.patience)


def _was_rewound(look: _Look) -> bool:
    rewind = look.sample.rewind
    return rewind is not None and look.sample.at - rewind.at < look.targets.rewind_shown_for


def _falls_behind(look: _Look) -> bool:
    grown = growth(look.history, GROWTH_OVER)
    if grown is None or look.age <= look.targets.oldest or look.begins:
        return False
    progress = look.sample.progress_at
    at_work = progress is not None and not look.lasts(progress, look.targets.stuck_after)
    return grown > 0 or (grown == 0 and not at_work)


def _is_held(look: _Look) -> bool:
    return bool(look.sample.messages) and look.sample.held + look.sample.paused == look.sample.messages


def _catches_up(look: _Look) -> bool:
    return look.age > look.targets.backlog_from and (look.begins or drains_in(points(look.history)) is not None)


def _is_waiting(look: _Look) -> bool:
    return bool(look.sample.messages or look.sample.work_days)


def _always(_look: _Look) -> bool:
    return True


_RULES: Final[tuple[tuple[Word, Callable[[_Look], bool]], ...]] = (
    (Word.NOBODY_READS, _nobody_reads),
    (Word.STUCK, _is_stuck),
    (Word.REWOUND, _was_rewound),
    (Word.HELD_BY_LIMIT, _is_held),  # before the next, since a partner who floods is no fault of the system
    (Word.FALLING_BEHIND, _falls_behind),
    (Word.CATCHING_UP, _catches_up),
    (Word.KEEPS_UP, _is_waiting),
    (Word.IDLE, _always),
)


def _since(word: Word, look: _Look) -> datetime | None:
    match word:
        case Word.NOBODY_READS:
            return look.absent_since
        case Word.STUCK:
            return look.still_since
        case Word.REWOUND:
            return look.sample.rewind.at if look.sample.rewind else None
        case _:
            return look.sample.oldest
