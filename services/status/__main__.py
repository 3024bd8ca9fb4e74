"""The process of the status service: `python -m services.status`."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from exhaust.domain.catalogue import load_catalogue
from exhaust.errors import Dependency
from exhaust.http.listener import LONG_CALLS_WITHIN, open_listener
from exhaust.kafka.consumer import ConsumerLoop
from exhaust.kafka.consumer_metrics import publish_consumer_metrics
from exhaust.kafka.producer import open_producer
from exhaust.kafka.records import RejectionCode
from exhaust.logs import configure_logging
from exhaust.postgres.database import open_service_database
from exhaust.postgres.grants import GrantStore
from exhaust.postgres.retention import retention_of
from exhaust.process.dependencies import open_gates
from exhaust.process.health import STALL_LIMIT, Health
from exhaust.process.retry import Patience, Retries
from exhaust.process.run import run_process, run_until_stopped
from exhaust.process.slots import Slots
from exhaust.s3.store import open_object_store
from schemas.events import GROUP_STATUS, TOPIC_COMPLETIONS
from services.status.action_calls import ActionCalls
from services.status.answers import AnswerBuilder
from services.status.apps import Operations, internal_app
from services.status.archive_check import ArchiveCheck
from services.status.away_time import AwayTime
from services.status.cancel_calls import CancelCalls
from services.status.cancel_markers import CancelMarkers
from services.status.change_notifier import ChangeNotifier
from services.status.completions import CompletionConsumer
from services.status.day_calls import DayCalls
from services.status.day_records import DayRecords
from services.status.deletions import Deletions
from services.status.download_calls import DownloadCalls
from services.status.external_updates import ExternalUpdates
from services.status.link_audit import LinkAudit
from services.status.outlooks import Outlooks
from services.status.partial_downloads import PartialDownloads
from services.status.pruner import Pruner
from services.status.reaper import Reaper
from services.status.request_ends import RequestEnds
from services.status.request_reader import RequestReader
from services.status.request_states import RequestStates
from services.status.settings import StatusSettings
from services.status.status_calls import StatusCalls
from services.status.update_calls import UpdateCalls
from services.status.watch_calls import WatchCalls
from services.status.webhooks.delivery import webhook_loops

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from exhaust.domain.catalogue import Catalogue
    from exhaust.kafka.producer import Producer
    from exhaust.postgres.database import Database
    from exhaust.process.dependencies import DependencyGate
    from exhaust.s3.store import ObjectStore

CONCURRENCY = 16
# For ever: an event that is given up is lost, and with it the end of a request.
PATIENCE = Patience(
    timedelta(minutes=1), (timedelta(seconds=15), timedelta(minutes=1), timedelta(minutes=5)), endless=True
)


def _shown(
    settings: StatusSettings, objects: ObjectStore, catalogue: Catalogue, database: Database, archives: ArchiveCheck
) -> tuple[AnswerBuilder, PartialDownloads, LinkAudit]:
    """Return what builds answers, finds partial downloads and records the links in them."""
    answers = AnswerBuilder(objects, catalogue, bucket=settings.s3_exhaust_bucket, link_lifetime=settings.link_lifetime)
    return answers, PartialDownloads(archives, time.monotonic), LinkAudit(database, time.monotonic)


def _wake(deletions: Deletions, markers: CancelMarkers) -> None:
    """Have the store cleared of a deleted request, and whoever works on it told."""
    markers.wake()
    deletions.wake()


def _outlooks(settings: StatusSettings, catalogue: Catalogue, database: Database) -> Outlooks:
    """Return what says where requests in progress stand."""
    return Outlooks(
        database,
        catalogue,
        time.monotonic,
        max_in_flight=settings.max_in_flight_per_partner,
        no_progress_after=settings.no_progress_after,
    )


def _days(settings: StatusSettings, database: Database, objects: ObjectStore, outlooks: Outlooks) -> DayCalls:
    return DayCalls(database, DayRecords(objects, settings.s3_exhaust_bucket, time.monotonic), outlooks)


def _consumer_loop(
    settings: StatusSettings,
    states: RequestStates,
    changes: ChangeNotifier,
    producer: Producer,
    health: Health,
    gates: Mapping[Dependency, DependencyGate],
) -> ConsumerLoop:
    """Return the consumer loop of completions."""
    retries = Retries(Slots(CONCURRENCY), PATIENCE, gates)
    consumer = CompletionConsumer(states, changes, health.registry, retries)
    loop = ConsumerLoop(
        settings,
        group=GROUP_STATUS,
        topic=TOPIC_COMPLETIONS,
        handle=consumer.handle,
        producer=producer,
        concurrency=consumer.slots,
        # Anybody may claim anything on this topic, in the name of anybody; only what we cannot work on is a defect.
        counted={RejectionCode.INTERNAL},
    )
    publish_consumer_metrics(health.registry, loop)
    return loop


def _pings(
    database: Database, producer: Producer, objects: ObjectStore, bucket: str
) -> dict[Dependency, Callable[[], Awaitable[None]]]:
    """Return how to ask whether each server answers."""
    s3_answers = partial(objects.ping, bucket)
    return {Dependency.POSTGRES: database.ping, Dependency.S3: s3_answers, Dependency.KAFKA: producer.ping}


def _reaper(
    settings: StatusSettings,
    states: RequestStates,
    database: Database,
    health: Health,
    gates: Mapping[Dependency, DependencyGate],
) -> Reaper:
    """Return the reaper. Requests make no progress while Kafka or S3 is away, and are not to blame for it."""
    needed = [gates[Dependency.KAFKA], gates[Dependency.S3]]
    away_time = AwayTime(needed, at_most=settings.no_progress_after, clock=time.monotonic)
    return Reaper(states, database, settings, health.registry, away_time)


async def serve(stall_limit: timedelta = STALL_LIMIT) -> None:
    """Build everything, consume and answer, until SIGTERM.

    Args:
        stall_limit: for how long a loop may stand still before the watchdog ends the process.
    """
    settings = StatusSettings()
    configure_logging("status", settings.log_level)
    health = Health(stall_limit=stall_limit)
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_service_database(settings, health.registry))
        producer = await stack.enter_async_context(open_producer(settings, health.registry))
        objects = await stack.enter_async_context(open_object_store(settings, health.registry))
        catalogue = load_catalogue(settings.catalogue)
        archives = ArchiveCheck(objects, settings.s3_exhaust_bucket)
        ends = RequestEnds(health.registry, catalogue)
        states = RequestStates(database, catalogue, archives, ends.note)
        changes = ChangeNotifier()
        reader = RequestReader(database, GrantStore(database), changes)
        markers = CancelMarkers(database, objects, settings.s3_exhaust_bucket, ends.note)
        cancels = CancelCalls(database, reader, changes, markers.wake)
        updates = UpdateCalls(ExternalUpdates(states, archives, changes))
        shown = reader, *_shown(settings, objects, catalogue, database, archives)
        outlooks = _outlooks(settings, catalogue, database)
        statuses = StatusCalls(*shown, outlooks)
        deletions = Deletions(database, objects, settings.s3_exhaust_bucket)
        actions = ActionCalls(database, reader, changes, catalogue, lambda: _wake(deletions, markers))
        watches, days = WatchCalls(reader, statuses), _days(settings, database, objects, outlooks)
        operations = Operations(statuses, DownloadCalls(*shown), cancels, updates, actions, watches, days)
        gates = await stack.enter_async_context(
            open_gates(health.registry, _pings(database, producer, objects, settings.s3_exhaust_bucket))
        )
        consumer_loop = _consumer_loop(settings, states, changes, producer, health, gates)
        # Not Kafka: while it is away, the service still answers from the database.
        health.checks["postgres"] = database.ping
        app = internal_app(health, settings.service_token, operations)
        await stack.enter_async_context(
            open_listener(app, settings.host, settings.port, draining=health.draining, finish_within=LONG_CALLS_WITHIN)
        )
        await run_until_stopped(
            health,
            consumer_loop.run(health.stop, health.heartbeat("completions"), settings.drain_timeout),
            _reaper(settings, states, database, health, gates).run(health),
            markers.run(health),
            deletions.run(health),
            Pruner(database, retention_of(settings), health.registry).run(health, settings.prune_interval),
            *await webhook_loops(stack, settings, database, catalogue, health),
            drain_delay=settings.drain_delay,
        )


def main() -> None:
    """Run the process."""
    run_process(serve)


if __name__ == "__main__":
    main()
