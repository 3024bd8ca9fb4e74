"""An old record whose attempt has ended costs one look at the store; a fresh one costs none."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from exhaust.domain.catalogue import parse_catalogue
from exhaust.kafka.producer import Producer
from exhaust.kafka.records import Record
from exhaust.metrics.registry import MetricRegistry
from exhaust.process.retry import Patience, Retries
from exhaust.process.slots import Slots
from exhaust.settings import KafkaSettings
from schemas.events import TOPIC_COMPLETIONS, TOPIC_DAYS, DatasetRequested, DayRequested, FinishedArchive
from services.aggregator.assemble import Assembler
from services.aggregator.build.day_builder import BuiltDay, DayBuilder
from services.aggregator.cancelled_attempts import CancelledAttempts
from services.aggregator.completion_publisher import CompletionPublisher
from services.aggregator.day_worker import DayMetrics, DayWorker
from services.aggregator.plan import Planner
from services.aggregator.records import FRESH_FOR, may_come_again

CATALOGUE = parse_catalogue(
    '[[dataset]]\nid = "ours"\nprefix = "ours/"\nlayout = "shared"\nretention_days = 7\n', "test"
)
DAY = date(2026, 11, 1)
REQUEST = DatasetRequested(requestid=UUID(int=1), attempt=1, datasetid="ours", resourceid="r", fromdate=DAY, todate=DAY)
ARCHIVE = FinishedArchive(key="k", size=1, digest="1" * 64, sha256="2" * 64, events=0, bytes=0)
NOTHING: Any = None
RETRIES = Retries(Slots(1), Patience(timedelta(seconds=1), ()))


class Sent(Producer):
    """A producer that keeps what it is given."""

    def __init__(self) -> None:
        super().__init__(KafkaSettings(kafka_bootstrap="nowhere:1"))
        self.events: list[tuple[str, Any]] = []

    async def send_raw(
        self, topic: str, key: bytes | None, value: bytes | None, _headers: list[tuple[str, bytes]]
    ) -> None:
        await asyncio.sleep(0)
        assert key
        assert value
        self.events.append((topic, json.loads(value)))


class Ended(Assembler):
    """Knows by itself if the attempt has ended."""

    def __init__(self, archive: FinishedArchive | None) -> None:
        super().__init__(NOTHING, "")
        self.archive = archive
        self.looks = 0

    async def finished(self, request: DatasetRequested) -> FinishedArchive | None:
        await asyncio.sleep(0)
        assert request.requestid == REQUEST.requestid
        self.looks += 1
        return self.archive


class NeverCancelled(CancelledAttempts):
    async def is_cancelled(self, _request_id: UUID, _attempt: int) -> bool:
        await asyncio.sleep(0)
        return False


class BuildsNothing(DayBuilder):
    async def build(self, _request: DayRequested) -> BuiltDay:
        await asyncio.sleep(0)
        raise AssertionError("the attempt has ended")


def aged(age: timedelta, message: DatasetRequested) -> Record:
    record = Record("topic", 0, 0, None, message.to_json(), ())
    return replace(record, written_at=datetime.now(UTC) - age)


@pytest.mark.parametrize(("age", "looks"), [(timedelta(0), 0), (FRESH_FOR * 2, 1)])
async def test_the_planner_looks_once_for_an_old_request_and_plans_it_when_it_has_not_ended(
    age: timedelta, looks: int
) -> None:
    sent, ended = Sent(), Ended(None)
    planner = Planner(sent, CompletionPublisher(sent), CATALOGUE, NeverCancelled(NOTHING, ""), ended, retries=RETRIES)
    await planner.handle(aged(age, REQUEST))
    assert [topic for topic, _ in sent.events] == [TOPIC_COMPLETIONS, TOPIC_DAYS]
    assert ended.looks == looks


async def test_the_planner_does_nothing_for_a_request_that_has_ended() -> None:
    sent, ended = Sent(), Ended(ARCHIVE)
    planner = Planner(sent, CompletionPublisher(sent), CATALOGUE, NeverCancelled(NOTHING, ""), ended, retries=RETRIES)
    await planner.handle(aged(FRESH_FOR * 2, REQUEST))
    assert sent.events == []


async def test_an_old_day_of_an_attempt_that_has_ended_reports_the_end_and_builds_nothing() -> None:
    """The end may not have been reported: a crash comes between the outcome and its report."""
    sent = Sent()
    worker = DayWorker(
        BuildsNothing(NOTHING, CATALOGUE, NOTHING, NOTHING),
        Ended(ARCHIVE),
        CompletionPublisher(sent),
        NeverCancelled(NOTHING, ""),
        DayMetrics(MetricRegistry()),
        retries=RETRIES,
    )
    await worker.handle(aged(FRESH_FOR * 2, DayRequested(**dict(REQUEST), day=DAY)))
    [(topic, event)] = sent.events
    assert topic == TOPIC_COMPLETIONS
    assert (event["status"], event["archive"]["key"]) == ("complete", "k")


def test_a_record_without_a_time_is_fresh() -> None:
    assert not may_come_again(replace(aged(timedelta(0), REQUEST), written_at=None))
