"""Handles records of dataset.days: build the day, tell of it, assemble when it was the last."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog
from prometheus_client import Counter, Histogram

from exhaust.errors import ErrorCode, ExhaustError, SourceObjectError
from exhaust.kafka.records import RejectedRecordError
from exhaust.logs import bind_trace
from exhaust.process.retry import retry_while_unavailable
from schemas.events import DayRequested, Failure, FinishedDay
from services.aggregator.records import decode_record

if TYPE_CHECKING:
    from datetime import timedelta

    from prometheus_client import CollectorRegistry

    from exhaust.kafka.records import Record
    from services.aggregator.assemble import Assembler
    from services.aggregator.build.day_builder import BuiltDay, DayBuilder
    from services.aggregator.news import News

log = structlog.get_logger(__name__)


class DayMetrics:
    """What the days cost and gave."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.days = Counter(
            "exhaust_days",
            "Days by outcome: built, reused (it existed), failed.",
            ["outcome"],
            registry=registry,
        )
        self.seconds = Histogram("exhaust_day_seconds", "Time to have a day's archive.", registry=registry)
        self.events = Counter("exhaust_events_selected", "Events written to day archives.", registry=registry)
        self.bytes = Counter(
            "exhaust_selected_bytes", "Uncompressed bytes of events written to day archives.", registry=registry
        )
        self.requests = Counter("exhaust_requests_assembled", "Downloads assembled.", registry=registry)


class DayWorker:
    """Does all that one day message asks for. Every step may be repeated after a crash."""

    def __init__(
        self, builder: DayBuilder, assembler: Assembler, news: News, metrics: DayMetrics, *, retry_for: timedelta
    ) -> None:
        self._builder = builder
        self._assembler = assembler
        self._news = news
        self._metrics = metrics
        self._retry_for = retry_for

    async def handle(self, record: Record) -> None:
        """Build, tell, mark, assemble.

        Raises:
            RejectedRecordError: it is no day, or the day cannot be built; the request was told so.
        """
        wanted = decode_record(record, DayRequested)
        if not wanted.fromdate <= wanted.day <= wanted.todate:
            raise RejectedRecordError(f"day {wanted.day} is not one of the request's")
        traceparent = record.header("traceparent")
        bind_trace(traceparent, request_id=str(wanted.requestid), attempt=wanted.attempt, day=str(wanted.day))

        async def work() -> None:
            await self._work(wanted, traceparent)

        try:
            await retry_while_unavailable(work, give_up_after=self._retry_for)
        except ExhaustError as error:
            await self._fail(wanted, traceparent, error)
            raise RejectedRecordError(f"{error.code}: {error.message}") from error
        except Exception:
            await self._fail(wanted, traceparent, _internal_fault())
            raise

    async def _work(self, wanted: DayRequested, traceparent: str) -> None:
        with self._metrics.seconds.time():
            day = await self._builder.build(wanted)
        self._count(day)
        # Told before it is marked: whoever assembles does so after all days were told.
        await self._news.day_finished(wanted, _finished(day), traceparent)
        await self._assembler.mark(wanted, day.summary)
        archive = await self._assembler.assemble_if_last(wanted)
        if archive is not None:
            await self._news.completed(wanted, archive, traceparent)
            self._metrics.requests.inc()
            log.info("request.assembled", bytes=archive.size)

    async def _fail(self, wanted: DayRequested, traceparent: str, error: ExhaustError) -> None:
        self._metrics.days.labels("failed").inc()
        log.error("day.failed", code=error.code, error=error.message)
        failure = Failure(
            code=error.code,
            message=error.message,
            day=wanted.day,
            object=error.source_object if isinstance(error, SourceObjectError) else None,
        )

        async def tell() -> None:
            await self._news.failed(wanted, failure, traceparent)

        await retry_while_unavailable(tell, give_up_after=self._retry_for)

    def _count(self, day: BuiltDay) -> None:
        self._metrics.days.labels("reused" if day.reused else "built").inc()
        if not day.reused:
            self._metrics.events.inc(day.summary.events)
            self._metrics.bytes.inc(day.summary.bytes)
        log.info("day.finished", reused=day.reused, events=day.summary.events, size=day.summary.size)


def _finished(day: BuiltDay) -> FinishedDay:
    summary = day.summary
    return FinishedDay(
        day=summary.day,
        state="ok" if summary.events else "empty",
        events=summary.events,
        bytes=summary.bytes,
        unreadable=summary.unreadable,
        reused=day.reused,
    )


def _internal_fault() -> ExhaustError:
    """The error for a defect of ours, with nothing in it that a partner should not read."""
    return ExhaustError(ErrorCode.INTERNAL_ERROR, "the day could not be built; the operators have the details")
