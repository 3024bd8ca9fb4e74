"""The sampler: one look at all stages, across outbox, Kafka and database, and what earlier looks tell of them.

Console and `exhaustctl` look by themselves, so each works without the other, and with one of the two servers alone:
what could not be seen is unknown, with the reason, and never 0. The console also keeps a history in the database; of
several consoles the one that gets an advisory lock writes it. The others look too, so that each shows what is true now,
also while no lock can be had because PostgreSQL is away.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from exhaust.errors import ExhaustError
from exhaust.lag import findings
from exhaust.lag.combine import GROUP_OF, Seen, Unseen, combine
from exhaust.lag.groups import GroupLag
from exhaust.lag.history import to_memory, to_row, to_sample
from exhaust.lag.kafka_lag import open_kafka_lag
from exhaust.lag.memory import GroupMemory, remember
from exhaust.lag.stages import Stage, StageSample, UnknownStage
from exhaust.lag.workers import Worker, hear, last_progress, slowest_days
from exhaust.postgres.database import TABLES_DIFFER
from exhaust.postgres.lag import OpenWork, find_open_work
from exhaust.postgres.stage_samples import add_samples, lead, recent_samples
from exhaust.postgres.worker_beats import StoredBeat, latest_beats, put_beats
from schemas.events import TOPIC_BEATS, TOPIC_COMPLETIONS, TOPIC_DAYS, TOPIC_REQUESTS, WorkerBeat

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Mapping

    from exhaust.lag.groups import KafkaLook
    from exhaust.lag.kafka_lag import KafkaLag
    from exhaust.postgres.database import Database
    from exhaust.settings import KafkaSettings

DATABASE_WITHIN: Final = timedelta(seconds=1.9)
REMEMBERED_FOR: Final = timedelta(minutes=15)  # longer than any rule of a verdict looks back
TOPIC_OF: Final = {
    Stage.PLAN: TOPIC_REQUESTS,
    Stage.BUILD: TOPIC_DAYS,
    Stage.REPORT: TOPIC_COMPLETIONS,
}
OF_WORKERS: Final = frozenset({Stage.PLAN, Stage.BUILD})  # whose members send beats
NO_KAFKA: Final = Unseen("no Kafka is configured here", left_out=True)
NO_DATABASE: Final = Unseen("no database is configured here", left_out=True)
KAFKA_AWAY: Final = "Kafka does not answer"
DATABASE_AWAY: Final = Unseen(findings.AWAY)
TABLES_OLD: Final = Unseen(findings.TABLES_OLD)


@dataclass(frozen=True, slots=True)
class Look:
    """One look at everything.

    Attributes:
        stages: in the order in which a request comes there.
        groups: by stage, for partitions and members.
        workers: that have told something in the last hour.
        open_requests: by state; None when the database was not seen.
        unseen: what could not be looked at, each a sentence without its full stop.
        day_p95: the 95th percentile of a day's time, where workers tell one.
    """

    at: datetime
    stages: tuple[StageSample | UnknownStage, ...]
    groups: Mapping[Stage, GroupLag | Unseen]
    workers: tuple[Worker, ...]
    open_requests: Mapping[str, int] | None
    unseen: tuple[str, ...]
    day_p95: timedelta | None


@asynccontextmanager
async def open_sampler(
    kafka: KafkaSettings | None,
    database: Database | None,
    *,
    max_in_flight_per_partner: int,
    built_elsewhere: Collection[str] = (),
) -> AsyncIterator[Sampler]:
    """Open a sampler for the time of a block.

    Args:
        kafka: None when nobody said where it is.
        database: likewise.
        max_in_flight_per_partner: the relay's limit.
        built_elsewhere: datasets whose days another executor builds.
    """
    async with AsyncExitStack() as stack:
        topics = {group: TOPIC_OF[stage] for stage, group in GROUP_OF.items()}
        looks = await stack.enter_async_context(open_kafka_lag(kafka, topics, TOPIC_BEATS)) if kafka else None
        yield Sampler(
            looks, database, max_in_flight_per_partner=max_in_flight_per_partner, built_elsewhere=built_elsewhere
        )


class Sampler:
    """Looks at everything, and remembers."""

    def __init__(
        self,
        kafka: KafkaLag | None,
        database: Database | None,
        *,
        max_in_flight_per_partner: int,
        built_elsewhere: Collection[str] = (),
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._kafka = kafka
        self._database = database
        self._limit = max_in_flight_per_partner
        self._elsewhere = built_elsewhere
        self._clock = clock
        self._recalled = False
        self._memories: dict[Stage, GroupMemory] = {}
        self._samples: dict[Stage, list[StageSample]] = {stage: [] for stage in Stage}
        self._workers: tuple[Worker, ...] = ()
        self._heard_at: datetime | None = None  # by this clock: those of workers may differ
        self._read: dict[Stage, bool] = {}

    async def sample(self) -> Look:
        """Look at everything once, within two seconds."""
        kafka, work = await asyncio.gather(self._look_at_kafka(), self._look_at_database())
        at = self._clock()
        groups = _groups(kafka)
        told = () if isinstance(kafka, Unseen) else kafka.told
        self._heard_at = at if told else self._heard_at
        for stage, group in groups.items():
            if isinstance(group, GroupLag):
                heard_at = self._heard_at if stage in OF_WORKERS else None
                self._memories[stage] = remember(group, self._memories.get(stage), at, heard_at)
        self._workers = hear(self._workers, told, at)
        seen = Seen(at, groups, self._memories, work, last_progress(self._workers))
        stages = combine(seen, {stage: samples[-1] for stage, samples in self._samples.items() if samples})
        self._keep([sample for sample in stages if isinstance(sample, StageSample) and not sample.unseen], at)
        return Look(
            at,
            stages,
            groups,
            self._workers,
            None if isinstance(work, Unseen) else work.requests,
            tuple(dict.fromkeys(part.why for part in (*groups.values(), work) if isinstance(part, Unseen))),
            slowest_days(self._workers, at),
        )

    def recent(self, stage: Stage) -> list[StageSample]:
        """Return the samples of a stage that were seen whole, of the last minutes, oldest first."""
        return list(self._samples[stage])

    async def record(self, look: Look) -> bool:
        """Write a look to the history if it is this process's turn; return True when it was.

        A row is due every 15 s, and when the members of a group have come or gone.

        Raises:
            ExhaustError: SERVICE_UNAVAILABLE.
        """
        if self._database is None:
            return False
        samples = [sample for sample in look.stages if isinstance(sample, StageSample) and not sample.unseen]
        read = {sample.stage: sample.readers.members > 0 for sample in samples if sample.readers is not None}
        async with asyncio.timeout(DATABASE_WITHIN.total_seconds()), self._database.transaction() as connection:
            changed = any(self._read.get(stage, has) is not has for stage, has in read.items())
            if not await lead(connection, at_once=changed):
                return False
            await add_samples(connection, [to_row(sample, self._memories.get(sample.stage)) for sample in samples])
            await put_beats(connection, [_stored(worker) for worker in look.workers])
        self._read |= read
        return True

    async def _look_at_kafka(self) -> KafkaLook | Unseen:
        if self._kafka is None:
            return NO_KAFKA
        try:
            return await self._kafka.look()
        except ExhaustError as error:
            return Unseen(error.message.partition(";")[0] or KAFKA_AWAY)

    async def _look_at_database(self) -> OpenWork | Unseen:
        if self._database is None:
            return NO_DATABASE
        try:
            async with asyncio.timeout(DATABASE_WITHIN.total_seconds()):
                if not self._recalled:
                    await self._recall(self._database)
                return await find_open_work(
                    self._database, max_in_flight_per_partner=self._limit, built_elsewhere=self._elsewhere
                )
        except (ExhaustError, TimeoutError):
            return DATABASE_AWAY
        except TABLES_DIFFER:
            return TABLES_OLD

    async def _recall(self, database: Database) -> None:
        """Take over what other processes saw before, and remembered."""
        rows, beats = await recent_samples(database, REMEMBERED_FOR), await latest_beats(database)
        self._recalled = True
        remembered: dict[Stage, GroupMemory] = {}
        for row in rows:
            sample = to_sample(row)
            self._samples[sample.stage].append(sample)
            if (memory := to_memory(row)) is not None:
                remembered[sample.stage] = memory
        self._memories = remembered | self._memories
        for samples in self._samples.values():
            samples.sort(key=lambda sample: sample.at)
        known = [Worker(WorkerBeat.model_validate(beat.beat), beat.progress_at) for beat in beats]
        self._workers = tuple({worker.beat.worker: worker for worker in (*known, *self._workers)}.values())

    def _keep(self, samples: Collection[StageSample], at: datetime) -> None:
        for sample in samples:
            kept = self._samples[sample.stage]
            kept.append(sample)
            while at - kept[0].at > REMEMBERED_FOR:
                del kept[0]


def _groups(kafka: KafkaLook | Unseen) -> dict[Stage, GroupLag | Unseen]:
    if isinstance(kafka, Unseen):
        return dict.fromkeys(GROUP_OF, kafka)
    found = {stage: kafka.groups[group] for stage, group in GROUP_OF.items()}
    return {stage: group if isinstance(group, GroupLag) else Unseen(group.why) for stage, group in found.items()}


def _stored(worker: Worker) -> StoredBeat:
    return StoredBeat(worker.beat.worker, worker.beat.at, worker.progress_at, worker.beat.model_dump(mode="json"))
