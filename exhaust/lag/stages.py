"""The stages that a request goes through, and what a look at one of them finds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime, timedelta


class Stage(StrEnum):
    """A place where work waits, in the order in which a request comes there.

    Attributes:
        OUTBOX: accepted requests wait in PostgreSQL for their release.
        PLAN: released requests wait on dataset.requests to be split into days.
        BUILD: days wait on dataset.days to be built.
        REPORT: completion events wait on dataset.completions to be counted.
    """

    OUTBOX = "outbox"
    PLAN = "plan"
    BUILD = "build"
    REPORT = "report"


@dataclass(frozen=True, slots=True)
class Readers:
    """The consumer group that reads a stage's topic.

    Attributes:
        group: its name.
        members: how many it has now.
        absent_since: since when it has had none; None while it has some.
        committed_at: when one of its committed offsets was last seen to grow; None when that was never seen.
        joined_at: when a member joined that waiting records were there for, and none was committed since; else None.
    """

    group: str
    members: int
    absent_since: datetime | None = None
    committed_at: datetime | None = None
    joined_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Rewind:
    """A committed offset that fell: records from there on are read once more."""

    at: datetime
    topic: str
    partition: int
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class StageSample:
    """One look at a stage.

    Attributes:
        stage: the stage.
        at: when it was looked at.
        messages: what waits: requests in the outbox, else records that the group has not committed.
        work_days: days of telemetry that still have to be built because of them; None where the stage has no such.
        oldest: since when the oldest waits; None when nothing does.
        done: a counter of what the stage has finished, which only grows.
        requests: open requests that stand in this stage.
        partners: whose they are.
        held: of the requests in the outbox, those whose partner is at its limit in flight.
        paused: of the requests in the outbox, those that wait until an operator resumes them.
        readers: of its topic; None of the outbox.
        rewind: the last time that an offset fell, if it did.
        progress_at: when a worker of the stage last told of growing bytes; None where workers tell nothing.
        unseen: why a part of it could not be looked at, such as "PostgreSQL does not answer"; empty when all was seen.
            What was not seen is 0 or None.
        left_out: the part was not asked for, since whoever looks has no address of that server.
    """

    stage: Stage
    at: datetime
    messages: int
    work_days: int | None
    oldest: datetime | None
    done: int
    requests: int = 0
    partners: int = 0
    held: int = 0
    paused: int = 0
    readers: Readers | None = None
    rewind: Rewind | None = None
    progress_at: datetime | None = None
    unseen: str = ""
    left_out: bool = False

    @property
    def age(self) -> timedelta | None:
        """For how long the oldest has waited; None when nothing waits."""
        return None if self.oldest is None else max(self.at - self.oldest, self.at - self.at)


@dataclass(frozen=True, slots=True)
class UnknownStage:
    """A stage that could not be looked at.

    Attributes:
        why: a sentence for operators, such as "Kafka does not answer".
        last: the latest sample, however old; None when there is none.
        left_out: it was not asked for, since whoever looks has no address of that server.
    """

    stage: Stage
    why: str
    last: StageSample | None = None
    left_out: bool = False
