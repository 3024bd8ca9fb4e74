"""The publisher of completion events: it reports the progress and the end of requests on dataset.completions.

The id of an event names what happened, so that work which is repeated after a crash reports nothing twice.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from exhaust.domain.object_keys import work_id
from schemas.events import (
    SOURCE_AGGREGATOR,
    TOPIC_COMPLETIONS,
    TYPE_COMPLETED,
    TYPE_FAILED,
    TYPE_PROGRESS,
    CloudEvent,
    Completed,
    Failed,
    Failure,
    FinishedArchive,
    FinishedDay,
    Progress,
)

if TYPE_CHECKING:
    from exhaust.kafka.producer import Producer
    from schemas.events import DatasetRequested


class CompletionPublisher:
    """Publishes completion events. Each method raises ExhaustError SERVICE_UNAVAILABLE when Kafka does not take one."""

    def __init__(self, producer: Producer) -> None:
        self._producer = producer

    async def publish_started(self, request: DatasetRequested, traceparent: str) -> None:
        """Publish that the work on a request has begun."""
        event = Progress(**_identity(request), daystotal=_days_total(request))
        await self._publish(TYPE_PROGRESS, "started", event, traceparent)

    async def publish_day_finished(self, request: DatasetRequested, day: FinishedDay, traceparent: str) -> None:
        """Publish that one more day of a request is durable."""
        event = Progress(**_identity(request), daystotal=_days_total(request), day=day)
        await self._publish(TYPE_PROGRESS, f"day/{day.day}", event, traceparent)

    async def publish_completed(self, request: DatasetRequested, archive: FinishedArchive, traceparent: str) -> None:
        """Publish that the download of a request is durable."""
        event = Completed(**_identity(request), archive=archive)
        await self._publish(TYPE_COMPLETED, "completed", event, traceparent)

    async def publish_failed(self, request: DatasetRequested, failure: Failure, traceparent: str) -> None:
        """Publish that the attempt has ended without a download."""
        event = Failed(**_identity(request), error=failure)
        await self._publish(TYPE_FAILED, f"failed/{failure.day or 'request'}", event, traceparent)

    async def _publish(self, kind: str, name: str, data: Progress | Completed | Failed, traceparent: str) -> None:
        event = CloudEvent(
            id=f"{data.requestid}/{data.attempt}/{name}",
            type=kind,
            source=SOURCE_AGGREGATOR,
            time=datetime.now(UTC),
            traceparent=traceparent,
            data=data.to_json(),
        )
        # All events of a request have one key, so one partition, where they stay in order.
        await self._producer.send(TOPIC_COMPLETIONS, str(data.requestid), event)


def _identity(request: DatasetRequested) -> dict[str, Any]:
    """Return what every event says of its request. Other data asked for under the same id has another work id."""
    work = work_id(request.datasetid, request.resourceid, request.fromdate, request.todate, request.tags)
    return {"requestid": request.requestid, "attempt": request.attempt, "workid": work}


def _days_total(request: DatasetRequested) -> int:
    return (request.todate - request.fromdate).days + 1
