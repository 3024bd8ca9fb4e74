"""Beats: every ten seconds the aggregator tells on a topic of its own what it does. It needs no database for that."""

from __future__ import annotations

import secrets
import socket
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

import structlog

from exhaust.errors import ExhaustError
from exhaust.process.periodic import run_periodically, wait_for_event
from schemas.events import SOURCE_AGGREGATOR, TOPIC_BEATS, TYPE_BEAT, CloudEvent, WorkerBeat

if TYPE_CHECKING:
    import asyncio

    from exhaust.kafka.consumer import ConsumerLoop
    from exhaust.kafka.producer import Producer
    from exhaust.process.health import Health
    from services.aggregator.work_in_hand import WorkInHand

INTERVAL: Final = timedelta(seconds=10)
PARTING_INTERVAL: Final = timedelta(seconds=1)  # while consumers end their work

log = structlog.get_logger(__name__)


class Beats:
    """Publishes what this run of the process does."""

    def __init__(self, producer: Producer, work: WorkInHand, *loops: ConsumerLoop) -> None:
        self._producer = producer
        self._work = work
        self._loops = loops
        self._worker = f"{socket.gethostname()}-{secrets.token_hex(4)}"
        self._version = version("telemetry-exhaust")
        self._lost = 0

    async def run(self, health: Health, left: asyncio.Event) -> None:
        """Publish until the process stops and its consumers have left, so that the last beat tells when that was.

        Args:
            health: of the process.
            left: set when no consumer is a member any more.
        """
        await run_periodically(health, "beats", self.publish, interval=INTERVAL)
        heartbeat = health.heartbeat("beats")
        while await self.publish() and not left.is_set():
            await wait_for_event(left, heartbeat=heartbeat, limit=PARTING_INTERVAL)

    async def publish(self) -> bool:
        """Publish once. A beat that fails is dropped, since the next one says more; return False then."""
        beat = self.beat()
        event = CloudEvent(
            id=f"{beat.worker}/{beat.at.isoformat()}",
            type=TYPE_BEAT,
            source=SOURCE_AGGREGATOR,
            time=beat.at,
            traceparent="",
            data=beat.to_json(),
        )
        try:
            await self._producer.send(TOPIC_BEATS, beat.worker, event)
        except ExhaustError as error:
            if not self._lost:
                log.warning("beats.lost", error=error.message)
            self._lost += 1
        else:
            self._lost = 0
        return not self._lost

    def beat(self) -> WorkerBeat:
        """Return what this aggregator does at the moment."""
        return WorkerBeat(
            worker=self._worker,
            version=self._version,
            at=datetime.now(UTC),
            partitions={loop.topic: loop.partition_count() for loop in self._loops},
            days=self._work.days,
            bytesdone=self._work.bytes_read,
            dayp95=self._work.day_p95,
        )
