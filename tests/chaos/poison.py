"""Poison: records on the topics that nobody can work on. Each carries a mark, by which its dead letter is known."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from aiokafka import AIOKafkaProducer

from tests.attacks.topics import kafka_options
from tests.chaos.checks.facts import REQUESTS
from tests.chaos.checks.invariants import POISON_MARK

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.chaos.scenario import Run

NOT_JSON: Final = b"this is no JSON"


@asynccontextmanager
async def open_producer(run: Run, **options: Any) -> AsyncIterator[Any]:
    """A producer with all rights."""
    producer = AIOKafkaProducer(**kafka_options(run.rig.stack), acks="all", **options)
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


async def plant_text(run: Run, topic: str = REQUESTS) -> None:
    """Plant a record that is no JSON."""
    mark = uuid4().hex
    async with open_producer(run) as producer:
        await producer.send_and_wait(topic, NOT_JSON, headers=[(POISON_MARK, mark.encode())])
    run.rig.history.planted.add(mark)
