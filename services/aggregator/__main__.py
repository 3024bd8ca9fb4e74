"""The process of the aggregator: `python -m services.aggregator`."""

from __future__ import annotations

import asyncio
import os
import tempfile
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING

from exhaust.domain.catalogue import load_catalogue
from exhaust.errors import Dependency
from exhaust.http.health import open_health_listener
from exhaust.kafka.consumer import ConsumerLoop
from exhaust.kafka.consumer_metrics import publish_consumer_metrics
from exhaust.kafka.producer import Producer, open_producer
from exhaust.logs import configure_logging
from exhaust.process.dependencies import open_gates
from exhaust.process.health import STALL_LIMIT, Health
from exhaust.process.retry import Patience, Retries
from exhaust.process.run import run_process, run_until_stopped
from exhaust.process.slots import Slots
from exhaust.s3.store import open_object_store
from schemas.events import GROUP_BUILD, GROUP_PLAN, TOPIC_DAYS, TOPIC_REQUESTS
from services.aggregator.assemble import Assembler
from services.aggregator.beats import Beats
from services.aggregator.build.day_builder import open_day_builder
from services.aggregator.cancelled_attempts import CancelledAttempts
from services.aggregator.completion_publisher import CompletionPublisher
from services.aggregator.day_worker import DayMetrics, DayWorker
from services.aggregator.plan import Planner
from services.aggregator.settings import AggregatorSettings
from services.aggregator.upload_reaper import reap_uploads
from services.aggregator.work_in_hand import WorkInHand

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping
    from datetime import timedelta

    from exhaust.process.dependencies import DependencyGate

PLAN_CONCURRENCY = 4


def use_temporary_folder() -> None:
    """Keep temporary files where TMPDIR says, and nowhere else.

    When that folder is full or missing at the first use, Python would take another one, and fill a disk that nobody
    meant. Now such a write fails, and is tried again.
    """
    tempfile.tempdir = os.environ.get("TMPDIR", "/tmp")  # noqa: S108 -- the files have no names


def _retries(slots: Slots, retry_for: timedelta, gates: Mapping[Dependency, DependencyGate]) -> Retries:
    """Return the retries of a loop: four rounds of `retry_for`, with growing pauses between them."""
    return Retries(slots, Patience(retry_for, (retry_for / 4, retry_for / 2, retry_for)), gates)


def _consumer_loops(
    settings: AggregatorSettings, producer: Producer, planner: Planner, worker: DayWorker
) -> tuple[ConsumerLoop, ConsumerLoop]:
    """Return the consumer loops of requests and of days."""
    plans = ConsumerLoop(
        settings,
        group=GROUP_PLAN,
        topic=TOPIC_REQUESTS,
        handle=planner.handle,
        producer=producer,
        concurrency=planner.slots,
    )
    days = ConsumerLoop(
        settings,
        group=GROUP_BUILD,
        topic=TOPIC_DAYS,
        handle=worker.handle,
        producer=producer,
        concurrency=worker.slots,
    )
    return plans, days


async def serve(stall_limit: timedelta = STALL_LIMIT) -> None:
    """Plan requests and build days until SIGTERM.

    Args:
        stall_limit: for how long a loop may stand still before the watchdog ends the process.
    """
    settings = AggregatorSettings()
    configure_logging("aggregator", settings.log_level)
    use_temporary_folder()
    catalogue = load_catalogue(settings.catalogue)
    health = Health(stall_limit=stall_limit)
    async with AsyncExitStack() as stack:
        producer = await stack.enter_async_context(open_producer(settings, health.registry))
        objects = await stack.enter_async_context(open_object_store(settings, health.registry))
        s3_answers = partial(objects.ping, settings.s3_exhaust_bucket)
        gates = await stack.enter_async_context(
            open_gates(health.registry, {Dependency.KAFKA: producer.ping, Dependency.S3: s3_answers})
        )
        publisher = CompletionPublisher(producer)
        cancelled = CancelledAttempts(objects, settings.s3_exhaust_bucket)
        assembler = Assembler(objects, settings.s3_exhaust_bucket)
        plan_retries = _retries(Slots(PLAN_CONCURRENCY), settings.retry_for, gates)
        planner = Planner(producer, publisher, catalogue, cancelled, assembler, retries=plan_retries)
        work = WorkInHand()
        worker = DayWorker(
            await stack.enter_async_context(open_day_builder(objects, catalogue, settings, work.count_read)),
            assembler,
            publisher,
            cancelled,
            DayMetrics(health.registry),
            retries=_retries(Slots(settings.day_records), settings.retry_for, gates),
            work_in_hand=work,
        )
        plans, days = _consumer_loops(settings, producer, planner, worker)
        publish_consumer_metrics(health.registry, plans, days)
        health.checks |= {"kafka": producer.ping, "s3": s3_answers, plans.topic: plans.check, days.topic: days.check}
        await stack.enter_async_context(open_health_listener(health, settings.host, settings.port))
        left = asyncio.Event()
        await run_until_stopped(
            health,
            _consume(
                left,
                plans.run(health.stop, health.heartbeat("plan"), settings.drain_timeout),
                days.run(health.stop, health.heartbeat("build"), settings.drain_timeout),
            ),
            cancelled.run(health),
            Beats(producer, work, plans, days).run(health, left),
            reap_uploads(health, objects, settings.s3_exhaust_bucket, settings.abandoned_after),
        )


async def _consume(left: asyncio.Event, *loops: Coroutine[None, None, None]) -> None:
    """Run the consumers, and set `left` once they are no members any more."""
    try:
        await asyncio.gather(*loops)
    finally:
        left.set()


def main() -> None:
    """Run the process."""
    run_process(serve)


if __name__ == "__main__":
    main()
