"""The aggregator leaves requests alone that a job elsewhere builds."""

import asyncio
import json
from datetime import date, timedelta
from typing import Any, cast
from uuid import UUID

import pytest

from exhaust.domain.catalogue import parse_catalogue
from exhaust.domain.object_keys import work_id
from exhaust.kafka.producer import Producer
from exhaust.kafka.records import Record, RejectedRecordError
from exhaust.metrics.registry import MetricRegistry
from exhaust.process.retry import Patience, Retries
from exhaust.process.slots import Slots
from exhaust.settings import KafkaSettings
from schemas.events import SOURCE_AGGREGATOR, TOPIC_COMPLETIONS, TOPIC_DAYS, DayRequested
from services.aggregator.build.day_builder import DayBuilder
from services.aggregator.cancelled_attempts import CancelledAttempts
from services.aggregator.completion_publisher import CompletionPublisher
from services.aggregator.day_worker import DayMetrics, DayWorker
from services.aggregator.plan import Planner

ENTRY = '[[dataset]]\nid = "{}"\nprefix = "{}/"\nlayout = "shared"\nretention_days = 7\n'
CATALOGUE = parse_catalogue(
    ENTRY.format("ours", "ours") + ENTRY.format("theirs", "theirs") + 'executor = "/org.example/spark"\n', "test"
)
DAY = date(2026, 11, 1)
RETRIES = Retries(Slots(1), Patience(timedelta(minutes=1), ()))
NOTHING: Any = None


class Outbox(Producer):
    """A producer that keeps what it is given."""

    def __init__(self) -> None:
        super().__init__(KafkaSettings(kafka_bootstrap="nowhere:1"))
        self.sent: list[tuple[str, dict[str, Any]]] = []

    async def send_raw(
        self, topic: str, key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes]]
    ) -> None:
        await asyncio.sleep(0)
        assert key
        assert value is not None
        assert ("ce_source", SOURCE_AGGREGATOR.encode()) in headers
        self.sent.append((topic, json.loads(value)))


class Marked(CancelledAttempts):
    """Knows by itself if the attempts are cancelled."""

    def __init__(self, *, cancelled: bool) -> None:
        super().__init__(NOTHING, "")
        self.cancelled = cancelled

    async def is_cancelled(self, _request_id: UUID, _attempt: int) -> bool:
        await asyncio.sleep(0)
        return self.cancelled


def record(dataset: str) -> Record:
    message = DayRequested(
        requestid=UUID(int=1), attempt=1, datasetid=dataset, resourceid="r", fromdate=DAY, todate=DAY, day=DAY
    )
    return Record("topic", 0, 0, None, message.to_json(), ())


async def test_the_planner_plans_what_is_built_here_and_leaves_the_rest() -> None:
    outbox = Outbox()
    planner = Planner(
        outbox, CompletionPublisher(outbox), CATALOGUE, Marked(cancelled=False), cast("Any", NOTHING), retries=RETRIES
    )
    await planner.handle(record("theirs"))
    assert outbox.sent == []
    await planner.handle(record("ours"))
    assert [topic for topic, _ in outbox.sent] == [TOPIC_COMPLETIONS, TOPIC_DAYS]
    assert outbox.sent[0][1]["workid"] == work_id("ours", "r", DAY, DAY, [])


async def test_the_planner_fails_a_request_for_a_dataset_that_is_unknown() -> None:
    outbox = Outbox()
    planner = Planner(
        outbox, CompletionPublisher(outbox), CATALOGUE, Marked(cancelled=False), cast("Any", NOTHING), retries=RETRIES
    )
    with pytest.raises(RejectedRecordError) as refused:
        await planner.handle(record("nobodys"))
    assert (refused.value.code, refused.value.pointer) == ("UNKNOWN_DATASET", "/datasetid")
    assert [(topic, sent["status"]) for topic, sent in outbox.sent] == [(TOPIC_COMPLETIONS, "failed")]


async def test_the_planner_publishes_no_day_of_a_cancelled_attempt() -> None:
    outbox = Outbox()
    planner = Planner(
        outbox, CompletionPublisher(outbox), CATALOGUE, Marked(cancelled=True), cast("Any", NOTHING), retries=RETRIES
    )
    await planner.handle(record("ours"))
    assert [topic for topic, _ in outbox.sent] == [TOPIC_COMPLETIONS]


async def test_a_day_that_a_job_elsewhere_builds_is_refused_and_nothing_is_reported() -> None:
    outbox = Outbox()
    builder = DayBuilder(NOTHING, CATALOGUE, NOTHING, NOTHING)
    metrics = DayMetrics(MetricRegistry())
    worker = DayWorker(builder, cast("Any", NOTHING), CompletionPublisher(outbox), NOTHING, metrics, retries=RETRIES)
    with pytest.raises(RejectedRecordError) as refused:
        await worker.handle(record("theirs"))
    assert (refused.value.code, refused.value.pointer, outbox.sent) == ("NOT_YOURS", "/datasetid", [])
