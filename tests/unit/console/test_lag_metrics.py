"""The metrics of lag: what was not seen is NaN, never 0, and every label is there from the start."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from exhaust.lag.combine import Unseen
from exhaust.lag.groups import GroupLag, Member, PartitionLag
from exhaust.lag.sampler import Look
from exhaust.lag.stages import Readers, Rewind, Stage, StageSample, UnknownStage
from exhaust.metrics.registry import MetricRegistry
from services.console.lag_metrics import publish_lag_metrics

NOW: Final = datetime(2026, 11, 30, 3, 0, tzinfo=UTC)
AGO: Final = NOW - timedelta(seconds=40)
GROUP: Final = GroupLag("aggregator-plan", "dataset.requests", (Member("a", "b", (0,)),), (PartitionLag(0, 3, 3, 10),))
AWAY: Final = Unseen("Kafka does not answer")


def sample(stage: Stage, messages: int, oldest: datetime | None, *, paused: int = 0, unseen: str = "") -> StageSample:
    readers = None if stage is Stage.OUTBOX else Readers("aggregator-plan", 1, committed_at=AGO)
    return StageSample(stage, NOW, messages, 5, oldest, 3, paused=paused, readers=readers, unseen=unseen)


def published(*stages: StageSample | UnknownStage) -> MetricRegistry:
    groups: dict[Stage, GroupLag | Unseen] = {Stage.PLAN: GROUP, Stage.BUILD: AWAY, Stage.REPORT: AWAY}
    look = Look(AGO, stages, groups, (), None, (), None)
    registry = MetricRegistry()
    publish_lag_metrics(registry, lambda: look, lambda: NOW)
    return registry


def of_stage(registry: MetricRegistry, name: str, stage: Stage = Stage.PLAN) -> float | None:
    return registry.get_sample_value(f"exhaust_stage_{name}", {"stage": stage.value})


def is_unknown(value: float | None) -> bool:
    return value is not None and math.isnan(value)


def test_before_the_first_look_all_is_there_and_unknown() -> None:
    registry = MetricRegistry()
    publish_lag_metrics(registry, lambda: None, lambda: NOW)
    for stage in Stage:
        assert all(is_unknown(of_stage(registry, name, stage)) for name in ("waiting", "oldest_seconds", "done_total"))
    assert is_unknown(registry.get_sample_value("exhaust_sample_age_seconds"))
    assert is_unknown(registry.get_sample_value("exhaust_requests_open", {"state": "parked"}))
    assert is_unknown(registry.get_sample_value("exhaust_group_members", {"group": "status"}))


def test_what_was_seen_has_its_figures() -> None:
    registry = published(sample(Stage.PLAN, 7, AGO))
    assert (of_stage(registry, "waiting"), of_stage(registry, "work_days")) == (7, 5)
    assert (of_stage(registry, "oldest_seconds"), of_stage(registry, "done_total")) == (40, 3)
    labels = {"group": "aggregator-plan", "topic": "dataset.requests", "partition": "0"}
    assert registry.get_sample_value("exhaust_topic_lag_messages", labels) == 7
    assert registry.get_sample_value("exhaust_group_members", {"group": "aggregator-plan"}) == 1
    assert registry.get_sample_value("exhaust_group_commit_age_seconds", {"group": "aggregator-plan"}) == 40
    assert registry.get_sample_value("exhaust_sample_age_seconds") == 40


def test_an_age_that_could_not_be_read_is_unknown() -> None:
    assert is_unknown(of_stage(published(sample(Stage.PLAN, 7, None)), "oldest_seconds"))


def test_nothing_and_what_is_paused_have_the_age_0() -> None:
    assert of_stage(published(sample(Stage.PLAN, 0, None)), "oldest_seconds") == 0
    paused = published(sample(Stage.OUTBOX, 4, None, paused=4))
    assert of_stage(paused, "oldest_seconds", Stage.OUTBOX) == 0


def test_what_was_seen_in_part_or_not_at_all_is_unknown() -> None:
    for stage in (
        sample(Stage.PLAN, 0, None, unseen="Kafka does not answer"),
        UnknownStage(Stage.PLAN, "Kafka does not answer"),
    ):
        registry = published(stage)
        assert is_unknown(of_stage(registry, "waiting"))
        assert is_unknown(of_stage(registry, "oldest_seconds"))


def test_days_of_work_add_up_since_the_report_stage_has_none() -> None:
    assert of_stage(published(sample(Stage.PLAN, 7, AGO)), "work_days", Stage.REPORT) is None


def test_what_may_not_go_on_is_told_of_the_outbox_alone() -> None:
    registry = published(replace(sample(Stage.OUTBOX, 7, AGO, paused=2), held=3), sample(Stage.PLAN, 1, AGO))
    assert of_stage(registry, "held", Stage.OUTBOX) == 5
    assert of_stage(registry, "held") is None


def test_a_fallen_offset_and_growing_bytes_have_an_age() -> None:
    fallen = replace(sample(Stage.PLAN, 7, AGO), rewind=Rewind(AGO, "dataset.requests", 0, 9, 3))
    registry = published(fallen)
    of_group = {"group": "aggregator-plan"}
    assert registry.get_sample_value("exhaust_group_rewind_age_seconds", of_group) == 40
    assert is_unknown(registry.get_sample_value("exhaust_group_rewind_age_seconds", {"group": "status"}))
    assert is_unknown(registry.get_sample_value("exhaust_worker_progress_age_seconds"))
