"""Sending records that nobody can work on to the dead-letter topic."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import structlog

from exhaust.kafka.records import RejectedRecordError, RejectionCode, dead_letter_headers, rejection_of
from exhaust.process.failpoints import failpoint
from schemas.events import TOPIC_DEAD_LETTERS

if TYPE_CHECKING:
    from prometheus_client import Counter

    from exhaust.kafka.producer import Producer
    from exhaust.kafka.records import Record

DEAD_LETTER_INTERVAL: Final = timedelta(seconds=1)

log = structlog.get_logger(__name__)


class DeadLetters:
    """The dead letters of one consumer: the records of its topic that its group cannot work on."""

    def __init__(self, producer: Producer, *, group: str, topic: str) -> None:
        self._producer = producer
        self._group = group
        self._topic = topic
        self._counter: Counter | None = None

    async def send(self, record: Record, error: Exception) -> None:
        """Send a record to the dead-letter topic, again and again until Kafka has it."""
        code, pointer = rejection_of(error)
        log.error(
            "kafka.dead_letter",
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            code=code,
            pointer=pointer,
            error=type(error).__name__,
            exc_info=not isinstance(error, RejectedRecordError),
        )
        headers = dead_letter_headers(record, self._group, error)
        failpoint("dead_letter.before_send")
        while True:
            try:
                await self._producer.send_raw(TOPIC_DEAD_LETTERS, record.key, record.value, headers)
            except Exception as failure:  # noqa: BLE001 -- the record must not be lost, whatever is wrong with Kafka
                log.warning("kafka.dead_letter_retry", error=str(failure))
                await asyncio.sleep(DEAD_LETTER_INTERVAL.total_seconds())
            else:
                break
        failpoint("dead_letter.after_send")
        if self._counter is not None:
            self._counter.labels(self._topic, code).inc()

    def count(self, counter: Counter) -> None:
        """Count dead letters from now on, by topic and code."""
        self._counter = counter
        for code in RejectionCode:
            counter.labels(self._topic, code)
