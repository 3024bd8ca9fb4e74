"""The samples of all stages, put together from what Kafka and the database said at the same time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from exhaust.lag.groups import GroupLag
from exhaust.lag.stages import Stage, StageSample, UnknownStage
from schemas.events import GROUP_BUILD, GROUP_PLAN, GROUP_STATUS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from exhaust.lag.memory import GroupMemory
    from exhaust.postgres.lag import OpenWork, StageWork

GROUP_OF: Final = {Stage.PLAN: GROUP_PLAN, Stage.BUILD: GROUP_BUILD, Stage.REPORT: GROUP_STATUS}


@dataclass(frozen=True, slots=True)
class Unseen:
    """Something that could not be looked at.

    Attributes:
        why: a sentence for operators, without its full stop.
        left_out: it was not asked for, since whoever looks has no address of that server.
    """

    why: str
    left_out: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """What one look found.

    Attributes:
        groups: by stage; the outbox has none.
        memories: of the groups that were ever seen, after this look.
        work: what the tables know.
        progress_at: when a worker last told of growing bytes.
    """

    at: datetime
    groups: Mapping[Stage, GroupLag | Unseen]
    memories: Mapping[Stage, GroupMemory]
    work: OpenWork | Unseen
    progress_at: datetime | None = None


def combine(seen: Seen, last: Mapping[Stage, StageSample]) -> tuple[StageSample | UnknownStage, ...]:
    """Return a sample of each stage, or why there is none.

    Args:
        seen: the look.
        last: by stage, the latest sample that was seen whole.
    """
    return (
        _outbox(seen, last.get(Stage.OUTBOX)),
        _worked_on(Stage.PLAN, seen, last.get(Stage.PLAN)),
        _worked_on(Stage.BUILD, seen, last.get(Stage.BUILD)),
        _report(seen, last.get(Stage.REPORT)),
    )


def _outbox(seen: Seen, last: StageSample | None) -> StageSample | UnknownStage:
    """Look at the outbox, whose counter is the number of records on the topic that it is released to."""
    if isinstance(seen.work, Unseen):
        return UnknownStage(Stage.OUTBOX, seen.work.why, last, seen.work.left_out)
    waiting = seen.work.outbox
    plan = seen.memories.get(Stage.PLAN)
    done = max(plan.written if plan else 0, last.done if last else 0)
    return StageSample(
        Stage.OUTBOX,
        seen.at,
        waiting.requests,
        waiting.days,
        waiting.oldest,
        done,
        waiting.requests,
        waiting.partners,
        seen.work.held,
        seen.work.paused,
    )


def _worked_on(stage: Stage, seen: Seen, last: StageSample | None) -> StageSample | UnknownStage:
    """Look at a stage whose work stands in the database, and whose messages stand on a topic."""
    group, work = seen.groups[stage], seen.work
    if isinstance(group, Unseen) and isinstance(work, Unseen):
        why = f"{group.why}; {work.why}"
        return UnknownStage(stage, why, last, left_out=group.left_out or work.left_out)
    open_work: StageWork | None = None
    if not isinstance(work, Unseen):
        open_work = work.plan if stage is Stage.PLAN else work.build
    unseen = next((part for part in (group, work) if isinstance(part, Unseen)), None)
    lag = group if isinstance(group, GroupLag) else None
    memory = seen.memories.get(stage) if lag else None
    since = [moment for part in (lag, open_work) if part is not None and (moment := part.oldest) is not None]
    return StageSample(
        stage,
        seen.at,
        messages=lag.messages if lag else 0,
        work_days=open_work.days if open_work else None,
        oldest=min(since, default=None),
        done=memory.done if memory else 0,
        requests=open_work.requests if open_work else 0,
        partners=open_work.partners if open_work else 0,
        readers=memory.readers(lag) if lag and memory else None,
        rewind=memory.rewind if memory else None,
        progress_at=seen.progress_at if stage is Stage.BUILD else None,
        unseen=unseen.why if unseen else "",
        left_out=unseen.left_out if unseen else False,
    )


def _report(seen: Seen, last: StageSample | None) -> StageSample | UnknownStage:
    """Look at the completion events, which the database does not know before they are counted."""
    group, memory = seen.groups[Stage.REPORT], seen.memories.get(Stage.REPORT)
    if isinstance(group, Unseen) or memory is None:
        why, left_out = (group.why, group.left_out) if isinstance(group, Unseen) else ("it was never seen", False)
        return UnknownStage(Stage.REPORT, why, last, left_out)
    return StageSample(
        Stage.REPORT,
        seen.at,
        group.messages,
        None,
        group.oldest,
        memory.done,
        readers=memory.readers(group),
        rewind=memory.rewind,
    )
