"""The topics as somebody sees them who can write to each and read them all.

Where the local stack asks for credentials, its administrator's are used: `kafka_username` and `kafka_password` of the
stack's description.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from schemas.events import TOPIC_COMPLETIONS, TOPIC_DAYS, TOPIC_DEAD_LETTERS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from deploy.local.stack import Stack

Headers = list[tuple[str, bytes]]
WATCHED: Final = (TOPIC_COMPLETIONS, TOPIC_DAYS, TOPIC_DEAD_LETTERS)
MARK: Final = "x-attack"  # a header of ours; a dead letter keeps the headers of its record
CODE: Final = "dl_code"
_POLL_MS: Final = 100


@dataclass(frozen=True, slots=True)
class Seen:
    """A record that somebody published."""

    topic: str
    key: str
    value: bytes
    headers: Headers

    def header(self, name: str) -> str:
        """The last header of that name, or the empty string."""
        values = [value for found, value in self.headers if found == name]
        return values[-1].decode(errors="replace") if values else ""


@dataclass(slots=True)
class Topics:
    """Publishes, and remembers what anybody published since it was opened."""

    producer: Any
    records: list[Seen] = field(default_factory=list)
    news: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def publish(self, topic: str, key: str, value: bytes | None, headers: Headers) -> None:
        """Append one record; what is published one after the other with one key stays in that order."""
        await self.producer.send(topic, value=value, key=key.encode(), headers=headers)

    async def flush(self) -> None:
        """Return when Kafka has everything."""
        await self.producer.flush()

    def of(self, topic: str, key: str) -> list[Seen]:
        return [seen for seen in self.records if (seen.topic, seen.key) == (topic, key)]

    def letters(self, mark: str) -> list[Seen]:
        """Dead letters of the record that was published with this mark."""
        return [seen for seen in self.records if seen.topic == TOPIC_DEAD_LETTERS and seen.header(MARK) == mark]

    async def until(self, condition: Callable[[], bool], within: float) -> bool:
        """Wait for a condition on the records; False when the time was over."""
        try:
            async with asyncio.timeout(within), self.news:
                await self.news.wait_for(condition)
        except TimeoutError:
            return False
        return True

    async def code(self, mark: str, within: float = 20.0) -> str:
        """The code of the dead letter with this mark; empty when there is no letter in time, or no code on it."""
        await self.until(lambda: bool(self.letters(mark)), within)
        return next((letter.header(CODE) for letter in self.letters(mark)), "")

    async def take(self, records: Sequence[Any]) -> None:
        async with self.news:
            self.records += [
                Seen(got.topic, (got.key or b"").decode(errors="replace"), got.value or b"", list(got.headers))
                for got in records
            ]
            self.news.notify_all()


def kafka_options(stack: Stack) -> dict[str, object]:
    """What a driver needs to reach the stack's Kafka with all rights."""
    options: dict[str, object] = {"bootstrap_servers": stack.kafka}
    username = getattr(stack, "kafka_username", None)
    if username is None:
        return options
    return options | {
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": username,
        "sasl_plain_password": getattr(stack, "kafka_password", ""),
    }


@asynccontextmanager
async def open_topics(stack: Stack) -> AsyncIterator[Topics]:
    """The topics of a stack, watched from now on."""
    producer = AIOKafkaProducer(**kafka_options(stack), acks="all", linger_ms=2)
    # Of no group, so that it has every partition by itself.
    consumer = AIOKafkaConsumer(*WATCHED, **kafka_options(stack), auto_offset_reset="earliest")
    await producer.start()
    await consumer.start()
    topics, stop = Topics(producer), asyncio.Event()

    async def watch() -> None:
        while not stop.is_set():  # a poll must not be cancelled
            polled = await consumer.getmany(timeout_ms=_POLL_MS)
            await topics.take([record for records in polled.values() for record in records])

    watching = asyncio.create_task(watch())
    try:
        yield topics
    finally:
        stop.set()
        await watching
        await consumer.stop()
        await producer.stop()
