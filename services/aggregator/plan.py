"""The planner turns one request into one message a day."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog

from exhaust.domain.catalogue import Layout
from exhaust.domain.days import DayRange
from exhaust.errors import Dependency
from exhaust.kafka.records import RejectedRecordError, RejectionCode
from exhaust.logs import bind_trace
from exhaust.process.failpoints import failpoint
from schemas.events import SOURCE_AGGREGATOR, TOPIC_DAYS, TYPE_DAY_REQUESTED, CloudEvent, DayRequested, Failure
from services.aggregator.records import decode_request, may_come_again
from services.aggregator.unknown_dataset import UnknownDatasetError

if TYPE_CHECKING:
    from datetime import date

    from exhaust.domain.catalogue import Catalogue
    from exhaust.kafka.producer import Producer
    from exhaust.kafka.records import Record
    from exhaust.process.retry import Retries
    from exhaust.process.slots import Slots
    from schemas.events import DatasetRequested
    from services.aggregator.assemble import Assembler
    from services.aggregator.cancelled_attempts import CancelledAttempts
    from services.aggregator.completion_publisher import CompletionPublisher

log = structlog.get_logger(__name__)


class Planner:
    """The handler of records of dataset.requests."""

    def __init__(
        self,
        producer: Producer,
        publisher: CompletionPublisher,
        catalogue: Catalogue,
        cancelled: CancelledAttempts,
        assembler: Assembler,
        *,
        retries: Retries,
    ) -> None:
        self._producer = producer
        self._catalogue = catalogue
        self._publisher = publisher
        self._cancelled = cancelled
        self._assembler = assembler
        self._retries = retries

    @property
    def slots(self) -> Slots:
        """The slots of the loop that brings the records."""
        return self._retries.slots

    async def handle(self, record: Record) -> None:
        """Publish a message for each day of a request. A repeated record repeats them, which costs little.

        A request whose dataset another executor builds is left to it. Of a cancelled attempt no day is published, nor
        of one that ended well before an old record came again.

        Raises:
            RejectedRecordError: the record holds no request, or one for a dataset that is unknown, which was published.
            ExhaustError: SERVICE_UNAVAILABLE when Kafka answers and does not take the messages.
        """
        request = decode_request(record)
        traceparent = record.header("traceparent")
        bind_trace(traceparent, request_id=str(request.requestid), attempt=request.attempt)
        dataset = self._catalogue.with_id(request.datasetid)
        if dataset is None:
            await self._refuse(request, traceparent)
        elif not dataset.is_built_here:
            log.info("request.left_to_executor", executor=dataset.executor)
            return
        days = DayRange(request.fromdate, request.todate)

        async def plan() -> None:
            if may_come_again(record) and await self._assembler.finished(request) is not None:
                log.info("request.ended_already")
                return
            failpoint("plan.before_started")
            is_cancelled, _ = await asyncio.gather(
                self._cancelled.is_cancelled(request.requestid, request.attempt),
                self._publisher.publish_started(request, traceparent),
            )
            failpoint("plan.after_started")
            if is_cancelled:
                log.info("request.cancelled")
                return
            await asyncio.gather(*(self._publish_day(request, day, traceparent) for day in days))
            log.info("request.planned", days=len(days))

        await self._retries.run(plan, needs=(Dependency.KAFKA,))
        failpoint("plan.after_days")

    async def _refuse(self, request: DatasetRequested, traceparent: str) -> None:
        error = UnknownDatasetError(request.datasetid)
        failure = Failure(code=error.code, message=error.message)

        async def publish() -> None:
            await self._publisher.publish_failed(request, failure, traceparent)

        await self._retries.run(publish, needs=(Dependency.KAFKA,))
        raise RejectedRecordError(RejectionCode.UNKNOWN_DATASET, error.message, "/datasetid") from error

    async def _publish_day(self, request: DatasetRequested, day: date, traceparent: str) -> None:
        message = DayRequested(**dict(request), day=day)
        event = CloudEvent(
            id=f"{request.requestid}/{request.attempt}/{day}",
            type=TYPE_DAY_REQUESTED,
            source=SOURCE_AGGREGATOR,
            time=datetime.now(UTC),
            traceparent=traceparent,
            data=message.to_json(),
        )
        await self._producer.send(TOPIC_DAYS, self._key(request, day), event)
        failpoint("plan.after_day")

    def _key(self, request: DatasetRequested, day: date) -> str:
        """Return the key that decides the partition of a day, and so the aggregator that builds it.

        The days of a request spread over all aggregators. Days that need the same objects come to the same one, which
        reads the objects once for all of them and builds nothing twice.
        """
        dataset = self._catalogue.find(request.datasetid)
        if dataset is not None and dataset.layout is Layout.SHARED:
            return f"{dataset.id}/{day}"
        return f"{request.datasetid}/{request.resourceid}/{day}"
