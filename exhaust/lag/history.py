"""Samples as rows of the history, and back.

A row also holds what the sampler remembers of the stage's group, so that another process can go on from there.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from exhaust.lag.memory import GroupMemory
from exhaust.lag.stages import Readers, Rewind, Stage, StageSample
from exhaust.postgres.stage_samples import StoredSample

if TYPE_CHECKING:
    from collections.abc import Mapping


def to_row(sample: StageSample, memory: GroupMemory | None) -> StoredSample:
    """Return the row of a sample that was seen whole."""
    detail: dict[str, Any] = {
        "requests": sample.requests,
        "partners": sample.partners,
        "held": sample.held,
        "paused": sample.paused,
        "progress_at": _written(sample.progress_at),
    }
    if sample.readers is not None and memory is not None:
        detail |= {
            "group": sample.readers.group,
            "members": sample.readers.members,
            "written": memory.written,
            "positions": {str(partition): offset for partition, offset in memory.positions.items()},
            "committed_at": _written(memory.committed_at),
            "absent_since": _written(memory.absent_since),
            "rewind": _written_rewind(memory.rewind),
            "member_ids": None if memory.members is None else sorted(memory.members),
            "joined_at": _written(memory.joined_at),
        }
    return StoredSample(sample.stage, sample.at, sample.messages, sample.work_days, sample.oldest, sample.done, detail)


def to_sample(row: StoredSample) -> StageSample:
    """Return the sample of a row."""
    detail = row.detail
    return StageSample(
        Stage(row.stage),
        row.at,
        row.messages,
        row.work_days,
        row.oldest,
        row.done,
        requests=detail.get("requests", 0),
        partners=detail.get("partners", 0),
        held=detail.get("held", 0),
        paused=detail.get("paused", 0),
        readers=_readers(detail),
        rewind=_rewind(detail.get("rewind")),
        progress_at=_time(detail.get("progress_at")),
    )


def to_memory(row: StoredSample) -> GroupMemory | None:
    """Return what is remembered of the stage's group; None of a stage that has no group."""
    detail = row.detail
    if "positions" not in detail:
        return None
    return GroupMemory(
        done=row.done,
        written=detail["written"],
        positions={int(partition): offset for partition, offset in detail["positions"].items()},
        committed_at=_time(detail.get("committed_at")),
        absent_since=_time(detail.get("absent_since")),
        rewind=_rewind(detail.get("rewind")),
        members=None if (members := detail.get("member_ids")) is None else frozenset(members),
        joined_at=_time(detail.get("joined_at")),
    )


def _readers(detail: Mapping[str, Any]) -> Readers | None:
    if "group" not in detail:
        return None
    absent, committed, joined = (_time(detail.get(name)) for name in ("absent_since", "committed_at", "joined_at"))
    return Readers(detail["group"], detail["members"], absent, committed, joined)


def _written_rewind(rewind: Rewind | None) -> dict[str, Any] | None:
    if rewind is None:
        return None
    return {
        "at": rewind.at.isoformat(),
        "topic": rewind.topic,
        "partition": rewind.partition,
        "before": rewind.before,
        "after": rewind.after,
    }


def _rewind(written: Mapping[str, Any] | None) -> Rewind | None:
    if written is None:
        return None
    at = datetime.fromisoformat(written["at"])
    return Rewind(at, written["topic"], written["partition"], written["before"], written["after"])


def _written(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _time(written: str | None) -> datetime | None:
    return None if written is None else datetime.fromisoformat(written)
