"""The relay, which moves requests from the outbox to the topic dataset.requests."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import structlog
from pydantic import ValidationError

from exhaust.errors import ExhaustError
from exhaust.logs import trace_id_of, valid_traceparent
from exhaust.metrics.catalogue import RELAY_PARKED, RELAY_RELEASED, RETRIES
from exhaust.postgres import outbox
from exhaust.postgres.parked_requests import park_request
from exhaust.process.failpoints import failpoint
from exhaust.process.periodic import run_periodically
from exhaust.violations import violations_text
from schemas.events import TOPIC_REQUESTS, TYPE_REQUESTED, CloudEvent, DatasetRequested

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from uuid import UUID

    from exhaust.kafka.producer import Producer
    from exhaust.metrics.registry import MetricRegistry
    from exhaust.postgres.database import Database
    from exhaust.postgres.outbox import OutboxEntry
    from exhaust.process.health import Health

BATCH: Final = 100
SLOW_AFTER: Final = timedelta(seconds=1)  # then the next batch does not wait for this one
MAX_SLOW_BATCHES: Final = 4
FINISH_WITHIN: Final = timedelta(seconds=5)

log = structlog.get_logger(__name__)


class Relay:
    """Releases requests. Several gateways may each run a relay on the same outbox."""

    def __init__(
        self,
        database: Database,
        publish: Callable[[OutboxEntry], Awaitable[None]],
        registry: MetricRegistry,
        *,
        max_in_flight_per_partner: int,
        claim_for: timedelta,
    ) -> None:
        """Prepare.

        Args:
            database: with the runtime role.
            publish: returns when Kafka has the entry's event.
            registry: where releases are counted.
            max_in_flight_per_partner: released and unfinished requests that a partner may have.
            claim_for: after this time another gateway publishes what this one has not.
        """
        self._database = database
        self._publish = publish
        self._limit = max_in_flight_per_partner
        self._claim_for = claim_for
        self._wake = asyncio.Event()
        self._slow: set[asyncio.Task[int]] = set()
        self._kafka_is_away = False
        self._released = registry.counter(RELAY_RELEASED)
        self._parked = registry.counter(RELAY_PARKED)
        self._retries = registry.counter(RETRIES)

    def wake(self) -> None:
        """Release soon, because the outbox has a new row."""
        self._wake.set()

    async def run(self, health: Health, interval: timedelta) -> None:
        """Release until the process stops. What is not released then waits safely for the next start."""
        try:
            await run_periodically(health, "relay", self._release_once, interval=interval, wake=self._wake)
        finally:
            if self._slow:
                await asyncio.wait(self._slow, timeout=FINISH_WITHIN.total_seconds())
            for batch in self._slow:
                batch.cancel()

    async def _release_once(self) -> bool:
        """Release one batch, and wait for it unless it is slow: then further requests need not wait for it.

        Return False while Kafka does not take what it is sent.
        """
        ended = {batch for batch in self._slow if batch.done()}
        self._slow -= ended
        if len(self._slow) < MAX_SLOW_BATCHES:
            batch = asyncio.create_task(self.release())
            await asyncio.wait({batch}, timeout=SLOW_AFTER.total_seconds())
            (ended if batch.done() else self._slow).add(batch)
        for batch in ended:
            if batch.result() == BATCH:
                self._wake.set()  # more may wait
        return not self._kafka_is_away

    async def release(self) -> int:
        """Release one batch; return how many requests were handled, which is less than BATCH when some have to wait.

        A failure of Kafka is logged; its requests stay in the outbox. A request that cannot be published is parked.

        Raises:
            ExhaustError: SERVICE_UNAVAILABLE when the database is away.
        """
        batch = await release_batch(
            self._database, self._publish, max_in_flight_per_partner=self._limit, claim_for=self._claim_for
        )
        self._released.inc(batch.released)
        self._parked.inc(len(batch.parked))
        for request_id, reason in batch.parked:
            log.error("request.parked", request_id=str(request_id), reason=reason)
        self._kafka_is_away = bool(batch.failures)
        if batch.failures:
            self._retries.labels("kafka").inc(len(batch.failures))
            log.warning("relay.waiting", error=str(batch.failures[0]), requests=len(batch.failures))
        return batch.released + len(batch.parked)


@dataclass(slots=True)
class ReleasedBatch:
    """The outcome of one release.

    Attributes:
        released: the number of requests that left the outbox.
        failures: the errors of requests that stay in the outbox, because Kafka is away.
        parked: requests that cannot be published, and why.
    """

    released: int = 0
    failures: list[ExhaustError] = field(default_factory=list)
    parked: list[tuple[UUID, str]] = field(default_factory=list)


async def release_batch(
    database: Database,
    publish: Callable[[OutboxEntry], Awaitable[None]],
    *,
    max_in_flight_per_partner: int,
    claim_for: timedelta,
) -> ReleasedBatch:
    """Publish the requests whose turn it is, and remove those that were published from the outbox.

    Each is removed soon after it was published, however long others take. A crash in between publishes them again,
    after the time of the claim: consumers take repeated events for one. A request whose row cannot become an event is
    parked, so that it stops no other.

    Raises:
        ExhaustError: SERVICE_UNAVAILABLE when the database is away.
    """
    entries = await outbox.claim_entries(
        database, max_in_flight_per_partner=max_in_flight_per_partner, limit=BATCH, claim_for=claim_for
    )
    batch = ReleasedBatch()
    if not entries:
        return batch
    failpoint("relay.before_publish")
    publishing = {asyncio.ensure_future(publish(entry)): entry for entry in entries}
    try:
        while publishing:
            done, _ = await asyncio.wait(publishing, return_when=asyncio.FIRST_COMPLETED)
            failpoint("relay.after_publish")
            await _settle(database, [(publishing.pop(ended), ended.exception()) for ended in done], batch)
    finally:
        for unfinished in publishing:
            unfinished.cancel()
    failpoint("relay.after_commit")
    return batch


async def _settle(
    database: Database, published: Sequence[tuple[OutboxEntry, BaseException | None]], batch: ReleasedBatch
) -> None:
    """Write down what became of entries whose publishing has ended, and count it."""
    released = [entry for entry, error in published if error is None]
    back = []
    for entry, error in published:
        if isinstance(error, ExhaustError) and error.retryable:
            batch.failures.append(error)
            back.append(entry)
        elif isinstance(error, Exception):
            reason = _reason(error)
            async with database.transaction() as connection:
                await park_request(connection, entry.request.request_id, reason)
            batch.parked.append((entry.request.request_id, reason))
            back.append(entry)
        elif error is not None:
            raise error  # the process ends
    if released:
        await outbox.delete_released(database, released)
        batch.released += len(released)
        for entry in released:
            _tell_released(entry)
    if back:
        await outbox.give_back(database, back)


def _tell_released(entry: OutboxEntry) -> None:
    request = entry.request
    log.info(
        "request.released",
        trace_id=trace_id_of(entry.traceparent),
        request_id=str(request.request_id),
        dataset=request.dataset,
        attempt=entry.attempt,
        seconds=round(entry.waited.total_seconds(), 3),
    )


def _reason(error: Exception) -> str:
    return violations_text(error) if isinstance(error, ValidationError) else f"{type(error).__name__}: {error}"


class RequestPublisher:
    """Publishes outbox entries to the topic dataset.requests."""

    def __init__(self, producer: Producer) -> None:
        self._producer = producer

    async def publish(self, entry: OutboxEntry) -> None:
        """Publish an entry; return when Kafka has it.

        Raises:
            ExhaustError: SERVICE_UNAVAILABLE; whether Kafka has the event is then unknown.
            ValueError: the entry cannot become an event.
        """
        request = entry.request
        if not request.days.is_requestable:
            raise ValueError(f"{request.days.first} to {request.days.last} is no range of days that a request may have")
        event = DatasetRequested(
            requestid=request.request_id,
            attempt=entry.attempt,
            datasetid=request.dataset,
            resourceid=request.resource,
            fromdate=request.days.first,
            todate=request.days.last,
            tags=request.tags,
            owner=entry.owner,
        )
        await self._producer.send(
            TOPIC_REQUESTS,
            str(request.request_id),
            CloudEvent(
                id=f"{request.request_id}/{entry.attempt}",
                type=TYPE_REQUESTED,
                source="/telemetry-exhaust/gateway",
                time=datetime.now(UTC),
                traceparent=valid_traceparent(entry.traceparent),
                data=event.to_json(),
            ),
        )
