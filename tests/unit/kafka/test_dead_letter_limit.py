"""When a consumer holds because too many of its records become dead letters, and when it goes on."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from exhaust.errors import ExhaustError
from exhaust.kafka.dead_letter_limit import DEFECTS, MALFORMED, DeadLetterLimit
from exhaust.kafka.records import Record, RejectedRecordError, RejectionCode
from exhaust.process.slots import Slots
from exhaust.settings import ConsumerSettings

LIMIT = 10
WINDOW = timedelta(minutes=5)
OURS, THEIRS = "/telemetry-exhaust/gateway", "/org.example/job"


def rejected(code: RejectionCode) -> RejectedRecordError:
    return RejectedRecordError(code, "rejected")


DEFECT = rejected(RejectionCode.INTERNAL)


class Consumer:
    """Works on records under a limit, by the errors that it is told to meet."""

    def __init__(self, *, counted: frozenset[RejectionCode] = DEFECTS | MALFORMED, window: timedelta = WINDOW) -> None:
        self.now = 0.0
        settings = ConsumerSettings(
            kafka_bootstrap="nowhere:1", dead_letter_limit=LIMIT, dead_letter_percent=50, dead_letter_window=window
        )
        self.limit = DeadLetterLimit(settings, "topic", counted, Slots(100), lambda: self.now)
        self.buried = 0
        self.tries = 0
        self.tried = asyncio.Event()
        self.error: Exception | None = None

    async def work(self) -> None:
        await asyncio.sleep(0)
        self.tries += 1
        self.tried.set()
        if self.error is not None:
            raise self.error

    async def bury(self, _error: Exception) -> None:
        await asyncio.sleep(0)
        self.buried += 1

    async def take(self, number: int, error: Exception | None = None, source: str = OURS) -> list[asyncio.Task[None]]:
        """Work on so many records, one after the other; the tasks of those that are held."""
        self.error = error
        record = Record("topic", 0, 0, None, b"", (("ce_source", source.encode()),))
        tasks = []
        for _ in range(number):
            tries = self.tries
            task = asyncio.create_task(self.limit.run(record, self.work, self.bury))
            for _ in range(5):
                await asyncio.sleep(0)
            assert self.tries == tries + 1
            tasks.append(task)
        return [task for task in tasks if not task.done()]


async def test_it_holds_at_the_number_and_buries_nothing_from_then_on() -> None:
    consumer = Consumer()
    held = await consumer.take(LIMIT + 5, DEFECT)
    assert (consumer.buried, len(held)) == (LIMIT - 1, 6)
    assert consumer.limit.held() == 1
    with pytest.raises(ExhaustError, match="the consumer of topic holds"):
        await consumer.limit.check()
    for task in held:
        task.cancel()


async def test_it_does_not_hold_while_most_records_end_well() -> None:
    consumer = Consumer()
    await consumer.take(3 * LIMIT)
    assert await consumer.take(3 * LIMIT, DEFECT) == []
    assert consumer.buried == 3 * LIMIT
    [held] = await consumer.take(1, DEFECT)
    held.cancel()


async def test_old_failures_are_forgotten() -> None:
    consumer = Consumer()
    for _ in range(5):
        assert await consumer.take(LIMIT - 1, DEFECT) == []
        consumer.now += 2 * WINDOW.total_seconds()
    assert consumer.limit.held() == 0


@pytest.mark.parametrize(
    ("error", "source"),
    [
        (rejected(RejectionCode.NOT_YOURS), OURS),
        (rejected(RejectionCode.UNKNOWN_REQUEST), OURS),
        (rejected(RejectionCode.SOURCE_UNREADABLE), OURS),
        (rejected(RejectionCode.SCHEMA), THEIRS),
        (rejected(RejectionCode.UNKNOWN_DATASET), THEIRS),
        (rejected(RejectionCode.NOT_JSON), ""),
    ],
)
async def test_what_others_can_cause_holds_nothing(error: Exception, source: str) -> None:
    consumer = Consumer()
    assert await consumer.take(5 * LIMIT, error, source) == []
    assert consumer.buried == 5 * LIMIT
    assert consumer.limit.held() == 0


async def test_where_strangers_write_no_source_is_believed() -> None:
    consumer = Consumer(counted=frozenset({RejectionCode.INTERNAL}))
    assert await consumer.take(5 * LIMIT, rejected(RejectionCode.SCHEMA), OURS) == []
    assert consumer.limit.held() == 0


async def test_refused_claims_do_not_hide_defects() -> None:
    consumer = Consumer()
    await consumer.take(10 * LIMIT, rejected(RejectionCode.NOT_YOURS))
    held = await consumer.take(LIMIT, DEFECT)
    assert len(held) == 1
    held[0].cancel()


@pytest.mark.parametrize("code", [RejectionCode.INTERNAL, RejectionCode.WORK_FAILED, RejectionCode.SCHEMA])
async def test_once_in_a_window_one_record_is_tried_and_when_it_works_all_go_on(code: RejectionCode) -> None:
    consumer, error = Consumer(window=timedelta(seconds=2)), rejected(code)
    held = await consumer.take(LIMIT + 5, error)
    tries = consumer.tries
    consumer.tried.clear()
    async with asyncio.timeout(10):
        await consumer.tried.wait()
        assert consumer.tries == tries + 1, "one alone"
        assert consumer.limit.held() == 1
        consumer.error = None
        await asyncio.gather(*held)
    assert consumer.buried == LIMIT - 1
    assert consumer.limit.held() == 0
    await consumer.limit.check()
