"""The metrics of lag."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from exhaust.lag.combine import GROUP_OF
from exhaust.lag.groups import GroupLag
from exhaust.lag.stages import Stage, StageSample
from exhaust.postgres.lag import STATES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from prometheus_client import CollectorRegistry
    from prometheus_client.metrics_core import Metric

    from exhaust.lag.sampler import Look

NOT_SEEN: Final = float("nan")  # compares with nothing: what is unknown fires no alert but that of blindness


def publish_lag_metrics(
    registry: CollectorRegistry,
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
    registry.register(_LagCollector(latest, now))


class _LagCollector(Collector):
    def __init__(self, latest: Callable[[], Look | None], now: Callable[[], datetime]) -> None:
        self._latest = latest
        self._now = now

    def collect(self) -> Iterable[Metric]:
        look, now = self._latest(), self._now()
        age = GaugeMetricFamily("exhaust_sample_age_seconds", "Age of the latest look at all stages.")
        age.add_metric([], NOT_SEEN if look is None else (now - look.at).total_seconds())
        yield age
        yield from _of_stages(look, now)
        yield from _of_groups(look, now)
        yield _of_requests(look)

    def describe(self) -> Iterable[Metric]:
        """Return nothing: a look is not worth waiting for when the metrics are registered."""
        return []


def _of_stages(look: Look | None, now: datetime) -> Iterable[Metric]:
    waiting = GaugeMetricFamily(
        "exhaust_stage_waiting", "What waits in a stage: requests in the outbox, else records.", labels=["stage"]
    )
    work_days = GaugeMetricFamily(
        "exhaust_stage_work_days", "Days of telemetry that still have to be built.", labels=["stage"]
    )
    oldest = GaugeMetricFamily(
        "exhaust_stage_oldest_seconds", "For how long the oldest has waited; 0 when nothing waits.", labels=["stage"]
    )
    done = CounterMetricFamily("exhaust_stage_done", "What a stage has finished.", labels=["stage"])
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
    return waiting, work_days, oldest, done


def _age(sample: StageSample, now: datetime) -> float:
    """Return for how long the oldest has waited: 0 when nothing but what is paused does, NaN when that is unknown."""
    if sample.oldest is not None:
        return max((now - sample.oldest).total_seconds(), 0.0)
    return NOT_SEEN if sample.messages > sample.paused else 0.0


def _of_groups(look: Look | None, now: datetime) -> Iterable[Metric]:
    lag = GaugeMetricFamily(
        "exhaust_topic_lag_messages",
        "Records that a group has not committed.",
        labels=["group", "topic", "partition"],
    )
    members = GaugeMetricFamily("exhaust_group_members", "Consumers that have joined a group.", labels=["group"])
    commits = GaugeMetricFamily(
        "exhaust_group_commit_age_seconds", "Since a committed offset was last seen to grow.", labels=["group"]
    )
    for stage, name in GROUP_OF.items():
        group = look.groups[stage] if look else None
        sample = next((known for known in look.stages if known.stage is stage), None) if look else None
        readers = sample.readers if isinstance(sample, StageSample) else None
        members.add_metric([name], NOT_SEEN if readers is None else readers.members)
        grown = readers.committed_at if readers else None
        commits.add_metric([name], NOT_SEEN if grown is None else max((now - grown).total_seconds(), 0.0))
        if isinstance(group, GroupLag):
            for partition in group.partitions:
                lag.add_metric([name, group.topic, str(partition.partition)], partition.messages)
    return lag, members, commits


def _of_requests(look: Look | None) -> Metric:
    requests = GaugeMetricFamily("exhaust_requests_open", "Requests that have not ended, by state.", labels=["state"])
    for state in STATES:
        found = look.open_requests if look else None
        requests.add_metric([state], NOT_SEEN if found is None else found[state])
    return requests
