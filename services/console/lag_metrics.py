"""The metrics of lag."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from exhaust.lag.combine import GROUP_OF
from exhaust.lag.groups import GroupLag
from exhaust.lag.stages import Stage, StageSample
from exhaust.lag.workers import last_progress
from exhaust.metrics import catalogue
from exhaust.metrics.registry import family
from exhaust.postgres.lag import STATES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from exhaust.lag.sampler import Look
    from exhaust.metrics.registry import Family, MetricRegistry

LAG: Final = (
    catalogue.SAMPLE_AGE,
    catalogue.STAGE_WAITING,
    catalogue.STAGE_WORK_DAYS,
    catalogue.STAGE_OLDEST,
    catalogue.STAGE_DONE,
    catalogue.STAGE_HELD,
    catalogue.TOPIC_LAG,
    catalogue.GROUP_MEMBERS,
    catalogue.GROUP_COMMIT_AGE,
    catalogue.GROUP_REWIND_AGE,
    catalogue.WORKER_PROGRESS_AGE,
    catalogue.REQUESTS_OPEN,
)
NOT_SEEN: Final = float("nan")  # compares with nothing: what is unknown fires no alert but that of blindness


def publish_lag_metrics(
    registry: MetricRegistry,
    latest: Callable[[], Look | None],
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> None:
    """Publish the figures of the latest look.

    What could not be seen is NaN, not 0. Every stage, group and state is there from the start; partitions are as soon
    as Kafka has told of them.

    Args:
        registry: of the process.
        latest: returns the look, None before the first.
        now: the present.
    """
    registry.collect_from(LAG, lambda: _figures(latest(), now()))


def _figures(look: Look | None, now: datetime) -> Iterable[Family]:
    age = family(catalogue.SAMPLE_AGE)
    age.add_metric([], NOT_SEEN if look is None else (now - look.at).total_seconds())
    yield age
    yield from _of_stages(look, now)
    yield from _of_groups(look, now)
    yield _of_workers(look, now)
    yield _of_requests(look)


def _of_stages(look: Look | None, now: datetime) -> Iterable[Family]:
    waiting, work_days = family(catalogue.STAGE_WAITING), family(catalogue.STAGE_WORK_DAYS)
    oldest, done = family(catalogue.STAGE_OLDEST), family(catalogue.STAGE_DONE)
    held = family(catalogue.STAGE_HELD)
    seen = {stage.stage: stage for stage in look.stages if isinstance(stage, StageSample)} if look else {}
    for stage in Stage:
        sample = seen.get(stage)
        whole = sample is not None and not sample.unseen
        waiting.add_metric([stage], NOT_SEEN if sample is None or not whole else sample.messages)
        if stage is not Stage.REPORT:  # it has no days of work, and a NaN for good would spoil every sum
            days = None if sample is None else sample.work_days
            work_days.add_metric([stage], NOT_SEEN if days is None else days)
        age = NOT_SEEN
        if sample is not None and whole:
            age = _age(sample, now)
        oldest.add_metric([stage], age)
        done.add_metric([stage], NOT_SEEN if sample is None or not whole else sample.done)
        if stage is Stage.OUTBOX:
            held.add_metric([stage], NOT_SEEN if sample is None or not whole else sample.held + sample.paused)
    return waiting, work_days, oldest, done, held


def _age(sample: StageSample, now: datetime) -> float:
    """Return for how long the oldest has waited: 0 when nothing but what is paused does, NaN when that is unknown."""
    if sample.oldest is not None:
        return max((now - sample.oldest).total_seconds(), 0.0)
    return NOT_SEEN if sample.messages > sample.paused else 0.0


def _of_groups(look: Look | None, now: datetime) -> Iterable[Family]:
    lag, members = family(catalogue.TOPIC_LAG), family(catalogue.GROUP_MEMBERS)
    commits, falls = family(catalogue.GROUP_COMMIT_AGE), family(catalogue.GROUP_REWIND_AGE)
    for stage, name in GROUP_OF.items():
        group = look.groups[stage] if look else None
        sample = next((known for known in look.stages if known.stage is stage), None) if look else None
        readers = sample.readers if isinstance(sample, StageSample) else None
        members.add_metric([name], NOT_SEEN if readers is None else readers.members)
        commits.add_metric([name], _since(readers.committed_at if readers else None, now))
        rewind = sample.rewind if isinstance(sample, StageSample) else None
        falls.add_metric([name], _since(rewind.at if rewind else None, now))
        if isinstance(group, GroupLag):
            for partition in group.partitions:
                lag.add_metric([name, group.topic, str(partition.partition)], partition.messages)
    return lag, members, commits, falls


def _of_workers(look: Look | None, now: datetime) -> Family:
    progress = family(catalogue.WORKER_PROGRESS_AGE)
    progress.add_metric([], _since(last_progress(look.workers) if look else None, now))
    return progress


def _since(moment: datetime | None, now: datetime) -> float:
    return NOT_SEEN if moment is None else max((now - moment).total_seconds(), 0.0)


def _of_requests(look: Look | None) -> Family:
    requests = family(catalogue.REQUESTS_OPEN)
    for state in STATES:
        found = look.open_requests if look else None
        requests.add_metric([state], NOT_SEEN if found is None else found[state])
    return requests
