"""The relay: moves requests from the outbox to the topic dataset.requests."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog
from prometheus_client import Counter

from exhaust.errors import ExhaustError
from exhaust.postgres import outbox
from schemas.events import TOPIC_REQUESTS, TYPE_REQUESTED, CloudEvent, DatasetRequested

if TYPE_CHECKING:
    from datetime import timedelta

    from prometheus_client import CollectorRegistry

    from exhaust.kafka.producer import Producer
    from exhaust.postgres.database import Database
    from exhaust.postgres.outbox import Waiting
    from exhaust.process.health import Beat

log = structlog.get_logger(__name__)


class Relay:
    """One of possibly several relays on the same outbox; they take turns."""

    def __init__(
        self, database: Database, producer: Producer, registry: CollectorRegistry, *, max_in_flight_per_partner: int
    ) -> None:
        self._database = database
        self._producer = producer
        self._limit = max_in_flight_per_partner
        self._wake = asyncio.Event()
        self._released = Counter("exhaust_relay_released", "Requests handed to Kafka.", registry=registry)

    def wake(self) -> None:
        """Something was put into the outbox just now."""
        self._wake.set()

    async def run(self, stop: asyncio.Event, beat: Beat, interval: timedelta) -> None:
        """Release until `stop` is set. What is not released then waits safely for the next start."""
        while not stop.is_set():
            beat()
            self._wake.clear()
            try:
                count = await outbox.release(self._database, self._publish, max_in_flight_per_partner=self._limit)
            except ExhaustError as error:
                log.warning("relay.waiting", error=error.message)
                count = 0
            self._released.inc(count)
            if count < outbox.BATCH:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), interval.total_seconds())

    async def _publish(self, waiting: Waiting) -> None:
        request = waiting.request
        event = DatasetRequested(
            requestid=request.request_id,
            attempt=waiting.attempt,
            datasetid=request.dataset,
            resourceid=request.resource,
            fromdate=request.days.first,
            todate=request.days.last,
            tags=request.tags,
            owner=waiting.owner,
        )
        await self._producer.send(
            TOPIC_REQUESTS,
            str(request.request_id),
            CloudEvent(
                id=f"{request.request_id}/{waiting.attempt}",
                type=TYPE_REQUESTED,
                source="/telemetry-exhaust/gateway",
                time=datetime.now(UTC),
                traceparent=waiting.traceparent,
                data=event.to_json(),
            ),
        )
