"""What the aggregator tells the world about a request: events on dataset.completions.

An event's id names the happening, so that work that is repeated after a crash tells nothing twice.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from schemas.events import (
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

SOURCE: Final = "/telemetry-exhaust/aggregator"


class News:
    """Publishes. Every call raises ExhaustError SERVICE_UNAVAILABLE when Kafka does not take the event."""

    def __init__(self, producer: Producer) -> None:
        self._producer = producer

    async def started(self, request: DatasetRequested, traceparent: str) -> None:
        """The request was taken up."""
        event = Progress(requestid=request.requestid, attempt=request.attempt, daystotal=_days_total(request))
        await self._send(TYPE_PROGRESS, "started", event, traceparent)

    async def day_finished(self, request: DatasetRequested, day: FinishedDay, traceparent: str) -> None:
        """One more day of the request is durable."""
        event = Progress(requestid=request.requestid, attempt=request.attempt, daystotal=_days_total(request), day=day)
        await self._send(TYPE_PROGRESS, f"day/{day.day}", event, traceparent)

    async def completed(self, request: DatasetRequested, archive: FinishedArchive, traceparent: str) -> None:
        """The download is durable."""
        event = Completed(requestid=request.requestid, attempt=request.attempt, archive=archive)
        await self._send(TYPE_COMPLETED, "completed", event, traceparent)

    async def failed(self, request: DatasetRequested, failure: Failure, traceparent: str) -> None:
        """The attempt ends without a download."""
        event = Failed(requestid=request.requestid, attempt=request.attempt, error=failure)
        await self._send(TYPE_FAILED, f"failed/{failure.day or 'request'}", event, traceparent)

    async def _send(self, kind: str, happening: str, data: Progress | Completed | Failed, traceparent: str) -> None:
        event = CloudEvent(
            id=f"{data.requestid}/{data.attempt}/{happening}",
            type=kind,
            source=SOURCE,
            time=datetime.now(UTC),
            traceparent=traceparent,
            data=data.to_json(),
        )
        # One key for all news of a request: one partition, so they arrive in the order sent.
        await self._producer.send(TOPIC_COMPLETIONS, str(data.requestid), event)


def _days_total(request: DatasetRequested) -> int:
    return (request.todate - request.fromdate).days + 1
