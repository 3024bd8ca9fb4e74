"""The deliverer: sends what webhooks are to be told, and tries again what did not arrive.

Several replicas share the work by claims with a lease: what one had in hand when it died is sent by another, under the
same id. Webhooks that fail or are slow have places of their own, so that they hold up none of the others.
"""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import structlog

from exhaust.errors import ConfigurationError, ExhaustError
from exhaust.metrics.catalogue import (
    WEBHOOK_DELIVERIES,
    WEBHOOK_DELIVERIES_WAITING,
    WEBHOOK_DELIVERY_SECONDS,
    WEBHOOK_OLDEST_SECONDS,
)
from exhaust.postgres.webhook_claims import (
    AttemptResult,
    claim_deliveries,
    count_waiting,
    record_failure,
    record_success,
)
from exhaust.process.failpoints import failpoint
from exhaust.process.periodic import run_periodically, wait_for_first
from services.status.webhooks.message import message_body, message_id, signed_headers
from services.status.webhooks.retries import delay_after, parse_retry_after
from services.status.webhooks.sender import TIMEOUT, Reply

if TYPE_CHECKING:
    from exhaust.metrics.registry import MetricRegistry
    from exhaust.postgres.database import Database
    from exhaust.postgres.webhook_claims import ClaimedDelivery
    from exhaust.process.health import Health
    from exhaust.webhooks.secrets import SecretSeal
    from services.status.webhooks.sender import WebhookSender

LOOP: Final = "webhooks"
CLAIM_FOR: Final = 2 * TIMEOUT
SLOW_FROM: Final = timedelta(seconds=3)
_GONE: Final = 410
_SUCCESS: Final = range(200, 300)
_REDIRECTS: Final = range(300, 400)

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Lane:
    """Places for the webhooks of one kind.

    Attributes:
        slow: it is for those that fail or are slow.
        places: deliveries at once, of all its webhooks.
        share: deliveries at once of one webhook.
        sender: sends them; its lookups of names wait for no other lane's.
    """

    slow: bool
    places: int
    share: int
    sender: WebhookSender
    at_work: set[asyncio.Task[None]] = field(default_factory=set)


class Deliverer:
    """Delivers to webhooks."""

    def __init__(self, database: Database, seal: SecretSeal, lanes: tuple[Lane, ...], registry: MetricRegistry) -> None:
        self._database = database
        self._seal = seal
        self._lanes = lanes
        self.wake = asyncio.Event()
        self._outcomes = registry.counter(WEBHOOK_DELIVERIES)
        self._seconds = registry.histogram(WEBHOOK_DELIVERY_SECONDS)
        self._waiting = registry.gauge(WEBHOOK_DELIVERIES_WAITING)
        self._oldest = registry.gauge(WEBHOOK_OLDEST_SECONDS)

    async def run(self, health: Health, interval: timedelta) -> None:
        """Deliver until the process stops; what is in hand then is finished, which takes no longer than a time-out."""
        try:
            await run_periodically(health, LOOP, self.deliver_due, interval=interval, wake=self.wake)
            await self._finish(health)
        finally:
            for task in self._at_work():
                task.cancel()

    async def _finish(self, health: Health) -> None:
        heartbeat = health.heartbeat(LOOP)
        deadline = time.monotonic() + TIMEOUT.total_seconds()
        while (tasks := self._at_work()) and time.monotonic() < deadline:
            await wait_for_first(tasks, heartbeat=heartbeat, limit=timedelta(seconds=1))

    def _at_work(self) -> list[asyncio.Task[None]]:
        return [task for lane in self._lanes for task in lane.at_work]

    async def deliver_due(self) -> None:
        """Start the delivery of what is due, as far as there are places.

        Raises:
            ExhaustError: SERVICE_UNAVAILABLE.
        """
        for lane in self._lanes:
            free = lane.places - len(lane.at_work)
            if free <= 0:
                continue
            claimed = await claim_deliveries(
                self._database, slow=lane.slow, share=lane.share, limit=free, claim_for=CLAIM_FOR
            )
            for delivery in claimed:
                task = asyncio.create_task(self._deliver(delivery, lane))
                lane.at_work.add(task)
                task.add_done_callback(lane.at_work.discard)
        waiting, oldest = await count_waiting(self._database)
        self._waiting.set(waiting)
        self._oldest.set(oldest.total_seconds())

    async def _deliver(self, delivery: ClaimedDelivery, lane: Lane) -> None:
        try:
            await self._attempt(delivery, lane)
        except (ExhaustError, ConfigurationError) as error:
            log.warning("webhooks.waiting", error=str(error))  # its lease ends, and it is claimed again
        except Exception:
            log.exception("webhooks.failed", delivery_id=str(delivery.delivery_id))
        else:
            self.wake.set()  # its place is free

    async def _attempt(self, delivery: ClaimedDelivery, lane: Lane) -> None:
        """Send a delivery once, and record what came of it."""
        sealed = [secret for secret in (delivery.secret, delivery.old_secret) if secret is not None]
        secrets = [self._seal.open(secret, delivery.webhook_id) for secret in sealed]
        body = message_body(delivery.event, delivery.created_at, delivery.data)
        headers = signed_headers(message_id(delivery.delivery_id), datetime.now(UTC), body, secrets)
        started = time.monotonic()
        reply = await lane.sender.send(delivery.url, body, headers)
        took = timedelta(seconds=time.monotonic() - started)
        failpoint("webhook.after_send")
        if reply.status in _SUCCESS:
            await record_success(self._database, delivery, AttemptResult(reply.status), slow=took > SLOW_FROM)
            self._note(delivery, reply, "delivered")
            if delivery.attempt == 1:
                self._seconds.observe(max((datetime.now(UTC) - delivery.created_at).total_seconds(), 0.0))
        else:
            await self._record_failure(delivery, reply)

    async def _record_failure(self, delivery: ClaimedDelivery, reply: Reply) -> None:
        gone = reply.status == _GONE
        asked = parse_retry_after(reply.retry_after, datetime.now(UTC))
        retry_after = None if gone else delay_after(delivery.failures + 1, random.random, asked=asked)
        result = AttemptResult(reply.status, _reason(reply), retry_after)
        switched_off = await record_failure(self._database, delivery, result, gone=gone)
        outcome = "refused" if reply.refused else "failed"
        self._note(delivery, reply, outcome if retry_after else "given-up")
        if switched_off:
            log.warning("webhook.switched_off", webhook_id=str(delivery.webhook_id), gone=gone)

    def _note(self, delivery: ClaimedDelivery, reply: Reply, outcome: str) -> None:
        self._outcomes.labels(outcome).inc()
        log.info(
            "webhook.sent",
            webhook_id=str(delivery.webhook_id),
            delivery_id=str(delivery.delivery_id),
            event_type=delivery.event,
            attempt=delivery.attempt,
            outcome=outcome,
            status=reply.status,
        )


def _reason(reply: Reply) -> str:
    if reply.status is None:
        return reply.reason
    if reply.status == _GONE:
        return "the receiver answered 410: it wants nothing any more"
    if reply.status in _REDIRECTS:
        return "the receiver answered with a redirect, which is not followed"
    return "the receiver refused it"
