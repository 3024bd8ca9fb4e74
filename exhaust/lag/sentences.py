"""The sentence of a verdict: what, how much since when, who suffers, what to do. Page and command say it alike."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from exhaust.lag.stages import Stage
from exhaust.lag.verdict import Word

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from exhaust.lag.forecast import DrainRange
    from exhaust.lag.stages import StageSample
    from exhaust.lag.verdict import Verdict

# The stage as a verb: what nobody does when nobody reads.
_VERBS: Final = {Stage.OUTBOX: "releases", Stage.PLAN: "plans", Stage.BUILD: "builds", Stage.REPORT: "reports"}
_PROCESSES: Final = {
    Stage.OUTBOX: "a gateway",
    Stage.PLAN: "an aggregator",
    Stage.BUILD: "an aggregator",
    Stage.REPORT: "a status service",
}


# From so long on a duration is told in these units.
_UNITS: Final = (
    (timedelta(days=2), timedelta(days=1), "days"),
    (timedelta(hours=2), timedelta(hours=1), "h"),
    (timedelta(minutes=2), timedelta(minutes=1), "min"),
)


@dataclass(frozen=True, slots=True)
class Sentences:
    """A verdict in words.

    Attributes:
        what: one sentence or two, with the numbers.
        do: what to do now, and the command for it; empty when there is nothing to do.
        runbook: name of its page in docs/runbooks, without the ending; empty when there is none.
    """

    what: str
    do: str = ""
    runbook: str = ""


def sentences(verdict: Verdict, now: datetime) -> Sentences:
    """Put a verdict into words."""
    if verdict.word is Word.UNKNOWN or verdict.sample is None:
        seen = f", last seen {shown(now - verdict.sample.at)} ago" if verdict.sample else ""
        return Sentences(
            f"Nothing is known of the {verdict.stage} stage: {verdict.why}{seen}.",
            f"see what does not answer: exhaustctl flow --stage {verdict.stage}",
            "Blind",
        )
    return _WORDINGS[verdict.word](verdict, verdict.sample, now)


def overall(verdict: Verdict, work_days: int | None, now: datetime) -> Sentences:
    """Put the verdict on all stages into words.

    Args:
        verdict: the worst, whose forecast is that of all work.
        work_days: days of work in all stages; None when they were not all seen.
        now: the present time.
    """
    if verdict.word is Word.CATCHING_UP and work_days and not _begins(verdict):
        left = f"{_counted(work_days, 'day')} of work {'is' if work_days == 1 else 'are'} left"
        return Sentences(f"The workers catch up: {left}{_drains(verdict.drains)}.")
    return sentences(verdict, now)


def _nobody_reads(verdict: Verdict, sample: StageSample, now: datetime) -> Sentences:
    group = f" Group {sample.readers.group} has no members." if sample.readers else ""
    return Sentences(
        f"Nobody {_VERBS[verdict.stage]}. {_still(sample, now)}.{group}",
        f"start {_PROCESSES[verdict.stage]}, or see why it left: exhaustctl workers",
        "NobodyReads",
    )


def _stuck(verdict: Verdict, sample: StageSample, now: datetime) -> Sentences:
    what = f"The {verdict.stage} stage stands still: its members have done nothing for {_since(verdict, now)}"
    return Sentences(
        f"{what}. {_still(sample, now)}.",
        f"see what they do: exhaustctl workers; then restart {_PROCESSES[verdict.stage]}",
        "Stuck",
    )


def _rewound(verdict: Verdict, sample: StageSample, now: datetime) -> Sentences:
    return Sentences(
        f"The {verdict.stage} stage reads records again: {_rewind(sample)}, {_since(verdict, now)} ago.",
        f"nothing is lost or doubled; find out who set it back: exhaustctl flow --stage {verdict.stage}",
        "Rewound",
    )


def _falls_behind(verdict: Verdict, sample: StageSample, now: datetime) -> Sentences:
    return Sentences(
        f"The {verdict.stage} stage falls behind: {_amount(sample)}{_oldest(sample, now)}. {_who(sample)} wait.",
        f"start more of it, and see what takes long: {_PROCESSES[verdict.stage]}; exhaustctl workers",
        "OldestTooOld",
    )


def _held(_verdict: Verdict, sample: StageSample, _now: datetime) -> Sentences:
    parts = []
    if sample.held:
        parts.append(
            f"{_counted(sample.held, 'request')} for their turn, since their partners have all in work they may"
        )
    if sample.paused:
        parts.append(f"{_counted(sample.paused, 'request')} until an operator resumes them (exhaustctl pauses)")
    return Sentences(f"In the outbox wait {', and '.join(parts)}.")


def _catches_up(verdict: Verdict, sample: StageSample, now: datetime) -> Sentences:
    joined = _begins(verdict)
    if joined:
        began = f"The {verdict.stage} stage begins: its members joined {shown(now - joined)} ago"
        return Sentences(f"{began}. {_amount(sample)}{_oldest(sample, now)}.")
    return Sentences(f"The {verdict.stage} stage catches up: {_amount(sample)}{_drains(verdict.drains)}.")


def _begins(verdict: Verdict) -> datetime | None:
    """Return when the members joined, of a stage without a forecast because they have done nothing yet."""
    readers = verdict.sample.readers if verdict.sample else None
    return None if readers is None or verdict.drains is not None else readers.joined_at


def _keeps_up(verdict: Verdict, sample: StageSample, now: datetime) -> Sentences:
    return Sentences(f"The {verdict.stage} stage keeps up: {_amount(sample)}{_oldest(sample, now)}.")


def _idle(_verdict: Verdict, _sample: StageSample, _now: datetime) -> Sentences:
    return Sentences("Nothing waits.")


_WORDINGS: Final[dict[Word, Callable[[Verdict, StageSample, datetime], Sentences]]] = {
    Word.NOBODY_READS: _nobody_reads,
    Word.STUCK: _stuck,
    Word.REWOUND: _rewound,
    Word.FALLING_BEHIND: _falls_behind,
    Word.HELD_BY_LIMIT: _held,
    Word.CATCHING_UP: _catches_up,
    Word.KEEPS_UP: _keeps_up,
    Word.IDLE: _idle,
}


def shown(duration: timedelta) -> str:
    """Return a duration as people say it: "20 s", "5 min", "3 h" or "2 days"."""
    for unit, length, name in _UNITS:
        if duration >= unit:
            return f"{duration // length} {name}"
    return f"{round(duration.total_seconds())} s"


def _who(sample: StageSample) -> str:
    """Return who suffers; where only the topic was seen, what waits there."""
    if not sample.requests:
        return _counted(sample.messages, "message")
    requests = _counted(sample.requests, "request")
    return f"{requests} of {_counted(sample.partners, 'partner')}"


def _still(sample: StageSample, now: datetime) -> str:
    oldest = f", the oldest for {shown(now - sample.oldest)}" if sample.oldest else ""
    return f"{_who(sample)} {_stand(sample)} still{oldest}"


def _since(verdict: Verdict, now: datetime) -> str:
    return shown(now - verdict.since) if verdict.since else "an unknown time"


def _stand(sample: StageSample) -> str:
    return "stands" if (sample.requests or sample.messages) == 1 else "stand"


def _amount(sample: StageSample) -> str:
    if sample.work_days:
        return f"{_counted(sample.work_days, 'day')} of work"
    return _counted(sample.messages, "message")


def _oldest(sample: StageSample, now: datetime) -> str:
    return f", the oldest waits for {shown(now - sample.oldest)}" if sample.oldest else ""


def _rewind(sample: StageSample) -> str:
    found = sample.rewind
    if found is None:
        return "an offset fell"
    return f"the committed offset of {found.topic}/{found.partition} fell from {found.before} to {found.after}"


def _drains(drains: DrainRange | None) -> str:
    if drains is None:
        return ""
    return f", done in {shown(drains.least)} to {shown(drains.most)}"


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
