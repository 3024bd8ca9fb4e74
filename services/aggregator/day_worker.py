"""The handler of records of dataset.days. This is the way of one day, from its message to its archive.

1. Decode and check the message: `DayWorker.handle` here, and records.py.
2. List the day's source objects: `list_sources` in build/day_builder.py.
3. Derive selection, archive key and scan key from message and listing: `plan_day` in build/day_plan.py. It is pure.
4. Look the archive up by its key; if it exists, go on with 9: `DayBuilder.build` in build/day_builder.py.
5. Wait for a scan of the day, together with all who need the same objects: build/shared_scans.py.
6. Open the objects in order and hand each to a scan worker: build/day_scan.py, build/scan_workers.py.
7. Inflate an object, cut it into lines, select events and deflate them, in the worker's process: scan/source_scan.py.
8. Write what comes back into a zip, object by object, while it is uploaded, and then its summary:
   build/archive_upload.py, called by build/day_scan.py.
9. Publish that the day is finished, and mark it: `DayWorker._work` here.
10. Assemble the download if it was the request's last day: assemble.py.

Each step calls the next and gets back what it needs; none calls an earlier one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from exhaust.domain.failures import RequestFailure
from exhaust.errors import Dependency, ErrorCode, ExhaustError, SourceObjectError
from exhaust.kafka.records import RejectedRecordError, RejectionCode
from exhaust.logs import bind_trace
from exhaust.metrics.catalogue import DAY_SECONDS, DAYS, EVENTS_SELECTED, REQUESTS_ASSEMBLED, SELECTED_BYTES
from exhaust.process.failpoints import failpoint
from schemas.events import Failure, FinishedDay
from services.aggregator.cancelled_attempts import AttemptCancelledError
from services.aggregator.records import decode_day, may_come_again
from services.aggregator.unknown_dataset import UnknownDatasetError
from services.aggregator.work_in_hand import WorkInHand

if TYPE_CHECKING:
    from exhaust.kafka.records import Record
    from exhaust.metrics.registry import MetricRegistry
    from exhaust.process.retry import Retries
    from exhaust.process.slots import Slots
    from schemas.events import DayRequested
    from services.aggregator.assemble import Assembler
    from services.aggregator.build.day_builder import BuiltDay, DayBuilder
    from services.aggregator.cancelled_attempts import AttemptInHand, CancelledAttempts
    from services.aggregator.completion_publisher import CompletionPublisher

log = structlog.get_logger(__name__)


class DayMetrics:
    """Counts of days, of their events, and of downloads."""

    def __init__(self, registry: MetricRegistry) -> None:
        self.days = registry.counter(DAYS)
        self.seconds = registry.histogram(DAY_SECONDS)
        self.events = registry.counter(EVENTS_SELECTED)
        self.bytes = registry.counter(SELECTED_BYTES)
        self.requests = registry.counter(REQUESTS_ASSEMBLED)


class DayWorker:
    """The handler of day messages. Every step may be repeated after a crash."""

    def __init__(
        self,
        builder: DayBuilder,
        assembler: Assembler,
        publisher: CompletionPublisher,
        cancelled: CancelledAttempts,
        metrics: DayMetrics,
        *,
        retries: Retries,
        work_in_hand: WorkInHand | None = None,
    ) -> None:
        self._builder = builder
        self._assembler = assembler
        self._publisher = publisher
        self._cancelled = cancelled
        self._metrics = metrics
        self._retries = retries
        self._work_in_hand = work_in_hand or WorkInHand()

    @property
    def slots(self) -> Slots:
        """The slots of the loop that brings the records."""
        return self._retries.slots

    async def handle(self, record: Record) -> None:
        """Find or build the day of a message, publish and mark it, and assemble the download if it was the last day.

        Of an attempt that is cancelled nothing more is done, and nothing published.

        Raises:
            RejectedRecordError: the record holds no day, or the day cannot be built, which was published.
        """
        request = decode_day(record)
        executor = self._builder.executor_elsewhere(request.datasetid)
        if executor is not None:
            raise RejectedRecordError(RejectionCode.NOT_YOURS, f"{executor} builds this dataset", "/datasetid")
        traceparent = record.header("traceparent")
        bind_trace(traceparent, request_id=str(request.requestid), attempt=request.attempt, day=str(request.day))

        async def work(in_hand: AttemptInHand) -> None:
            await self._work_or_fail(record, request, traceparent, in_hand)

        try:
            with self._work_in_hand.holding(request):
                await self._cancelled.stop_when_cancelled(request.requestid, request.attempt, work)
        except AttemptCancelledError:
            self._metrics.days.labels("cancelled").inc()
            log.info("day.cancelled")
        failpoint("day.after_work")

    async def _work_or_fail(
        self, record: Record, request: DayRequested, traceparent: str, in_hand: AttemptInHand
    ) -> None:
        async def work() -> None:
            if not (may_come_again(record) and await self._ended_before(request, traceparent)):
                await self._work(request, traceparent, in_hand)

        try:
            await self._retries.run(work, needs=(Dependency.S3, Dependency.KAFKA))
        except AttemptCancelledError:
            raise
        except ExhaustError as error:
            await self._fail(request, traceparent, error)
            raise RejectedRecordError(_rejection(error), f"{error.code}: {error.message}") from error
        except Exception:
            await self._fail(request, traceparent, _internal_fault())
            raise

    async def _ended_before(self, request: DayRequested, traceparent: str) -> bool:
        """Return True when the attempt has ended well, and report its end once more: a crash may have come before.

        The status service counts the report once.
        """
        archive = await self._assembler.finished(request)
        if archive is None:
            return False
        await self._publisher.publish_completed(request, archive, traceparent)
        log.info("request.ended_already")
        return True

    async def _work(self, request: DayRequested, traceparent: str, in_hand: AttemptInHand) -> None:
        with self._metrics.seconds.time(), self._work_in_hand.timed():
            day = await self._builder.build(request)
        await in_hand.check()
        self._count(day)
        failpoint("day.before_event")
        # Published before it is marked, so that whoever assembles does so after all days were published.
        await self._publisher.publish_day_finished(request, _finished_day(day), traceparent)
        failpoint("day.after_event")
        await self._assembler.mark(request, day.summary)
        failpoint("day.after_marker")
        archive = await self._assembler.assemble_if_last(request)
        if archive is not None:
            failpoint("day.before_completed")
            await self._publisher.publish_completed(request, archive, traceparent)
            failpoint("day.after_completed")
            self._metrics.requests.inc()
            log.info("request.assembled", bytes=archive.size)

    async def _fail(self, request: DayRequested, traceparent: str, error: ExhaustError) -> None:
        self._metrics.days.labels("failed").inc()
        log.error("day.failed", code=error.code, error=error.message)
        failure = Failure(
            code=error.code,
            message=error.message,
            day=request.day,
            object=error.source_object if isinstance(error, SourceObjectError) else None,
        )

        async def publish() -> None:
            failpoint("day.before_failed")
            await self._publisher.publish_failed(request, failure, traceparent)
            failpoint("day.after_failed")

        await self._retries.run(publish, needs=(Dependency.KAFKA,))
        await self._offer_the_other_days(request, failure)

    async def _offer_the_other_days(self, request: DayRequested, failure: Failure) -> None:
        """Mark a day as failed, and assemble the others if it was the last that was worked on.

        The request has failed, whatever becomes of this.
        """

        async def work() -> None:
            await self._assembler.mark_failed(request, RequestFailure.of(failure.model_dump(mode="json")))
            await self._assembler.assemble_if_last(request)

        try:
            await self._retries.run(work, needs=(Dependency.S3,))
        except ExhaustError as error:
            log.warning("request.not_assembled_partially", error=error.message)

    def _count(self, day: BuiltDay) -> None:
        self._metrics.days.labels("reused" if day.reused else "built").inc()
        if not day.reused:
            self._metrics.events.inc(day.summary.events)
            self._metrics.bytes.inc(day.summary.bytes)
        log.info("day.finished", reused=day.reused, events=day.summary.events, size=day.summary.size)


def _finished_day(day: BuiltDay) -> FinishedDay:
    summary = day.summary
    return FinishedDay(
        day=summary.day,
        state="ok" if summary.events else "empty",
        events=summary.events,
        bytes=summary.bytes,
        unreadable=summary.unreadable,
        reused=day.reused,
    )


def _rejection(error: ExhaustError) -> RejectionCode:
    match error:
        case SourceObjectError():
            return RejectionCode.SOURCE_UNREADABLE
        case UnknownDatasetError():
            return RejectionCode.UNKNOWN_DATASET
        case _:
            return RejectionCode.WORK_FAILED


def _internal_fault() -> ExhaustError:
    """Return the error for a defect of ours. It holds nothing that a partner should not read."""
    return ExhaustError(ErrorCode.INTERNAL_ERROR, "the day could not be built; the operators have the details")
