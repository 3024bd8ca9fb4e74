"""Sending records that nobody can work on to the dead-letter topic."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import structlog

from exhaust.kafka.producer import MAX_RECORD_BYTES, EventTooLargeError
from exhaust.kafka.records import RejectedRecordError, RejectionCode, dead_letter_headers, rejection_of
from exhaust.metrics.catalogue import DEAD_LETTERS, RETRIES
from exhaust.process.failpoints import failpoint
from schemas.events import TOPIC_DEAD_LETTERS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from prometheus_client import Counter

    from exhaust.kafka.producer import Producer
    from exhaust.kafka.records import Record
    from exhaust.metrics.registry import MetricRegistry

FIRST_WAIT: Final = timedelta(seconds=1)
LONGEST_WAIT: Final = timedelta(seconds=10)
# What is kept of a record that does not fit, beside its size, its digest and its place.
HEAD_BYTES: Final = 64 * 1024
KEPT_KEY_BYTES: Final = 1024
KEPT_HEADERS_BYTES: Final = 16 * 1024
_ROOM: Final = 16 * 1024  # for the headers that a dead letter gets, and for Kafka's own

log = structlog.get_logger(__name__)

Headers = list[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record as it is sent to the dead-letter topic."""

    key: bytes | None
    value: bytes | None
    headers: Headers


def fits(letter: DeadLetter) -> bool:
    """Return True when the dead-letter topic takes a dead letter, if it has the limit that we give it."""
    return _size(letter.key, letter.value or b"", letter.headers) + _ROOM <= MAX_RECORD_BYTES


def cut(record: Record, added: Headers) -> DeadLetter:
    """Return a dead letter with the beginning of a record, and with the size and the digest of its whole value.

    Args:
        record: what it is about.
        added: the headers that tell about the record; they are kept.
    """
    key = record.key and record.key[:KEPT_KEY_BYTES]
    value = None if record.tombstone and key is not None else record.value[:HEAD_BYTES]
    kept: Headers = []
    for header in record.headers:
        if _size(None, b"", [*kept, header]) > KEPT_HEADERS_BYTES:
            break
        kept.append(header)
    whole = {
        "value": (value or b"") == record.value,
        "key": key == record.key,
        "headers": len(kept) == len(record.headers),
    }
    told = {
        "dl_size": str(len(record.value)),
        "dl_sha256": hashlib.sha256(record.value).hexdigest(),
        "dl_truncated": ",".join(part for part, is_whole in whole.items() if not is_whole),
    }
    return DeadLetter(key, value, [*kept, *added, *((name, text.encode()) for name, text in told.items())])


def _size(key: bytes | None, value: bytes, headers: Sequence[tuple[str, bytes]]) -> int:
    return len(key or b"") + len(value) + sum(len(name.encode()) + len(text or b"") + 10 for name, text in headers)


class DeadLetters:
    """The dead letters of one consumer: the records of its topic that its group cannot work on."""

    def __init__(self, producer: Producer, *, group: str, topic: str) -> None:
        self._producer = producer
        self._group = group
        self._topic = topic
        self._counter: Counter | None = None
        self._retries: Counter | None = None

    async def send(self, record: Record, error: Exception) -> None:
        """Send a record to the dead-letter topic, again and again until Kafka has it.

        Of a record that the topic does not take, the beginning is sent.
        """
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
        failpoint("dead_letter.before_send")
        added = dead_letter_headers(record, self._group, error)[len(record.headers) :]
        # The driver sends no record with neither key nor value; the code says that there was none.
        value = None if record.tombstone and record.key is not None else record.value
        whole = DeadLetter(record.key, value, [*record.headers, *added])
        if not (fits(whole) and await self._send(whole)):
            # In a thread: the digest of what inflated to a gigabyte takes a second.
            short = await asyncio.to_thread(cut, record, added)
            log.warning("kafka.dead_letter_cut", topic=record.topic, offset=record.offset, size=len(record.value))
            while not await self._send(short):
                log.error("kafka.dead_letter_refused", topic=TOPIC_DEAD_LETTERS, size=len(short.value or b""))
                await asyncio.sleep(LONGEST_WAIT.total_seconds())
        failpoint("dead_letter.after_send")
        if self._counter is not None:
            self._counter.labels(self._topic, code).inc()

    async def _send(self, letter: DeadLetter) -> bool:
        """Send a dead letter until Kafka has it; return False when it is too large for the topic."""
        wait = FIRST_WAIT
        while True:
            try:
                await self._producer.send_raw(TOPIC_DEAD_LETTERS, letter.key, letter.value, letter.headers)
            except EventTooLargeError:
                return False
            except Exception as failure:  # noqa: BLE001 -- the record must not be lost, whatever is wrong with Kafka
                log.warning("kafka.dead_letter_retry", error=str(failure))
                if self._retries is not None:
                    self._retries.inc()
                await asyncio.sleep(wait.total_seconds())
                wait = min(2 * wait, LONGEST_WAIT)
            else:
                return True

    def count(self, registry: MetricRegistry) -> None:
        """Count dead letters from now on, by code, and sends of them that are made again."""
        self._retries = registry.counter(RETRIES).labels("kafka")
        self._counter = registry.counter(DEAD_LETTERS, [(self._topic, code) for code in RejectionCode])
