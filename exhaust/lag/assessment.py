"""The assessment of a look: each stage's verdict, the one for all, and both as documents for page and command."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from exhaust.lag.combine import Unseen
from exhaust.lag.findings import Findings
from exhaust.lag.forecast import done_per_minute, drains_in, growth, sums
from exhaust.lag.sentences import overall, sentences
from exhaust.lag.stages import Stage, StageSample, UnknownStage
from exhaust.lag.verdict import Targets, Urgency, Verdict, Word, judge, urgency, worst

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from exhaust.lag.forecast import Point
    from exhaust.lag.groups import GroupLag, PartitionLag
    from exhaust.lag.sampler import Look, Sampler
    from exhaust.lag.sentences import Sentences
    from exhaust.lag.workers import Worker
    from exhaust.settings import LagSettings

Document = dict[str, Any]
GROWTH_SHOWN_OVER: Final = timedelta(minutes=1)
NOTHING_FOUND: Final = Findings()


@dataclass(frozen=True, slots=True)
class Trend:
    """How a stage has moved lately.

    Attributes:
        grown: by how much what waits grew over GROWTH_SHOWN_OVER; None when it was not watched for so long.
        done_per_minute: what was finished in the last minutes; likewise.
    """

    grown: int | None = None
    done_per_minute: float | None = None


@dataclass(frozen=True, slots=True)
class Assessment:
    """A look, judged.

    Attributes:
        verdicts: of the stages, in the order in which a request comes there.
        work: the days of work in all stages together, in the last minutes.
        trends: of the stages that were seen.
    """

    look: Look
    verdicts: tuple[Verdict, ...]
    work: tuple[Point, ...] = ()
    trends: Mapping[Stage, Trend] = field(default_factory=dict)

    @property
    def worst(self) -> Verdict:
        """The verdict on all stages; its forecast is that of all work."""
        found = worst(self.verdicts)
        return replace(found, drains=drains_in(self.work)) if found.word is Word.CATCHING_UP else found

    @property
    def work_days(self) -> int | None:
        """The days of work in all stages; None when they were not all seen."""
        return self.work[-1].waiting if self.work and self.work[-1].at == self.look.at else None

    @property
    def urgency(self) -> Urgency:
        """How urgent all of it is together."""
        return urgency(self.verdicts)


def targets_from(settings: LagSettings) -> Targets:
    """Return the times from which on something is the matter."""
    return Targets(oldest=settings.oldest_target, nobody_after=settings.nobody_after, stuck_after=settings.stuck_after)


def assess(look: Look, sampler: Sampler, targets: Targets, now: datetime) -> Assessment:
    """Judge a look by what the sampler saw before.

    Args:
        look: the sampler's latest.
        sampler: whose look it is.
        targets: from when on something is the matter.
        now: the present; a look gets old.
    """

    def history(stage: StageSample) -> list[StageSample]:
        return [*(sample for sample in sampler.recent(stage.stage) if sample.at < look.at), stage]

    def judged(stage: StageSample | UnknownStage) -> Verdict:
        if isinstance(stage, UnknownStage):
            return judge(stage, now=now, targets=targets)
        return judge(history(stage), now=now, targets=targets, day_p95=look.day_p95)

    work = sums(sampler.recent(stage) for stage in (Stage.OUTBOX, Stage.PLAN, Stage.BUILD))
    seen = [stage for stage in look.stages if isinstance(stage, StageSample) and not stage.unseen]
    trends = {stage.stage: _trend(history(stage)) for stage in seen}
    return Assessment(look, tuple(map(judged, look.stages)), tuple(work), trends)


def now_document(assessment: Assessment, now: datetime, findings: Findings = NOTHING_FOUND) -> Document:
    """Return what is the matter, as JSON's types: the sentence for all, one for each stage, and what else is known.

    Args:
        assessment: of the latest look.
        now: the present.
        findings: why requests failed, dead letters, what is paused.
    """
    worst = assessment.worst
    unseen = [*assessment.look.unseen, *([findings.unseen] if findings.unseen else [])]
    return {
        "at": _time(assessment.look.at),
        "verdict": _verdict(worst, overall(worst, assessment.work_days, now)),
        "workdays": assessment.work_days,
        "exitcode": int(assessment.urgency),
        "stages": [_stage(verdict, assessment, now) for verdict in assessment.verdicts],
        "openrequests": assessment.look.open_requests,
        **findings.document(now),
        "unseen": list(dict.fromkeys(unseen)),
    }


def flow_document(assessment: Assessment, now: datetime) -> Document:
    """Return the stages with their groups, partitions and workers, as JSON's types."""
    look = assessment.look
    stages = [
        _stage(verdict, assessment, now)
        | {"group": _group(look.groups[verdict.stage], now) if verdict.stage in look.groups else None}
        for verdict in assessment.verdicts
    ]
    return {
        "at": _time(look.at),
        "exitcode": int(assessment.urgency),
        "stages": stages,
        "workers": [worker_document(worker, now) for worker in look.workers],
        "unseen": list(look.unseen),
    }


def workers_document(assessment: Assessment, now: datetime) -> Document:
    """Return the workers, as JSON's types."""
    whole = flow_document(assessment, now)
    return {name: whole[name] for name in ("at", "exitcode", "workers", "unseen")}


def worker_document(worker: Worker, now: datetime) -> Document:
    """Return a worker as JSON's types."""
    told: Document = worker.beat.model_dump(mode="json")
    return told | {
        "ageseconds": _seconds(now - worker.beat.at),
        "silent": worker.is_silent(now),
        "progressat": _time(worker.progress_at),
    }


def _trend(history: Sequence[StageSample]) -> Trend:
    return Trend(growth(history, GROWTH_SHOWN_OVER), done_per_minute(history))


def _stage(verdict: Verdict, assessment: Assessment, now: datetime) -> Document:
    trend = Trend() if verdict.why else assessment.trends.get(verdict.stage, Trend())
    moved = {"grown": trend.grown, "doneperminute": trend.done_per_minute}
    return _verdict(verdict, sentences(verdict, now)) | _figures(verdict, now) | moved


def _verdict(verdict: Verdict, told: Sentences) -> Document:
    return {
        "stage": verdict.stage.value,
        "word": verdict.word.value,
        "urgency": verdict.urgency.name.lower(),
        "since": _time(verdict.since),
        "sentence": told.what,
        "do": told.do,
        "runbook": told.runbook,
        "drains": None
        if verdict.drains is None
        else {"least": _seconds(verdict.drains.least), "most": _seconds(verdict.drains.most)},
    }


def _figures(verdict: Verdict, now: datetime) -> Document:
    """Return the figures of a stage; none of one that is unknown, whose last sample is no figure of now."""
    sample = None if verdict.why else verdict.sample
    if sample is None:
        names = ("messages", "workdays", "oldestseconds", "done", "requests", "partners", "held", "paused", "members")
        return dict.fromkeys(names)
    return {
        "messages": sample.messages,
        "workdays": sample.work_days,
        "oldestseconds": None if sample.oldest is None else max(_seconds(now - sample.oldest), 0.0),
        "done": sample.done,
        "requests": sample.requests,
        "partners": sample.partners,
        "held": sample.held,
        "paused": sample.paused,
        "members": None if sample.readers is None else sample.readers.members,
    }


def _group(group: GroupLag | Unseen, now: datetime) -> Document:
    if isinstance(group, Unseen):
        return {"unseen": group.why}
    return {
        "group": group.group,
        "topic": group.topic,
        "messages": group.messages,
        "members": [
            {"client": member.client, "host": member.host, "partitions": list(member.partitions)}
            for member in group.members
        ],
        "partitions": [_partition(partition, now) for partition in group.partitions],
    }


def _partition(partition: PartitionLag, now: datetime) -> Document:
    return {
        "partition": partition.partition,
        "committed": partition.committed,
        "end": partition.end,
        "messages": partition.messages,
        "oldestseconds": None if partition.oldest is None else max(_seconds(now - partition.oldest), 0.0),
    }


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="milliseconds")


def _seconds(duration: timedelta) -> float:
    return round(duration.total_seconds(), 3)
