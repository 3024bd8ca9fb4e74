"""The assembler joins the days of a request into the download. The aggregator that finishes the last day does it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import structlog

from exhaust.domain.days import DayRange
from exhaust.domain.object_keys import WorkPlace, work_place
from exhaust.errors import ExhaustError
from exhaust.process.failpoints import failpoint
from exhaust.s3.errors import ObjectExistsError, ObjectMissingError
from schemas.events import FailedDay, Outcome, PartialOutcome, RequestedWork
from services.aggregator.archive.day_summary import DaySummary
from services.aggregator.archive.manifest import manifest_json
from services.aggregator.download_writer import DownloadWriter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exhaust.domain.failures import RequestFailure
    from exhaust.s3.store import ObjectStore
    from schemas.events import DatasetRequested, DayRequested, FinishedArchive

log = structlog.get_logger(__name__)


class Assembler:
    """The markers of finished and failed days, and the download that is assembled when no marker is missing.

    S3 is strongly consistent: of several aggregators that write their markers and then list, the last sees them all.
    Two may see them all; they write the same bytes, and the first outcome stays.
    """

    def __init__(self, objects: ObjectStore, bucket: str) -> None:
        self._objects = objects
        self._bucket = bucket
        self._writer = DownloadWriter(objects, bucket)

    async def mark(self, request: DayRequested, summary: DaySummary) -> None:
        """Mark a day of the attempt as finished. The first marker stays, so that what is assembled never changes."""
        key = _place(request).marker_key(request.day)
        try:
            await self._objects.put(
                self._bucket, key, summary.to_json(), content_type="application/json", if_absent=True
            )
        except ObjectExistsError:
            log.info("day.marked_already")

    async def finished(self, request: DatasetRequested) -> FinishedArchive | None:
        """Return the download of an attempt that has ended well; otherwise None."""
        try:
            return await self._outcome(_place(request))
        except ObjectMissingError:
            return None

    async def mark_failed(self, request: DayRequested, failure: RequestFailure) -> None:
        """Mark a day of the attempt as failed. The first marker stays, and one of a finished day counts for more."""
        key = _place(request).failed_marker_key(request.day)
        marker = FailedDay(day=request.day, code=failure.code, message=failure.message)
        with suppress(ObjectExistsError):
            await self._objects.put(
                self._bucket, key, marker.to_json(), content_type="application/json", if_absent=True
            )

    async def assemble_if_last(self, request: DayRequested) -> FinishedArchive | None:
        """Assemble the download if all days of the attempt are finished; otherwise return None.

        When no day is left to be worked on and some have failed, assemble the partial download of the others.
        """
        place = _place(request)
        days = DayRange(request.fromdate, request.todate)
        present = {found.key async for found in self._objects.list(self._bucket, place.markers_prefix)}
        keys = [place.marker_key(day) for day in days]
        if not present.issuperset(keys):
            try:
                await self._assemble_partial_if_settled(request, place, present)
            except ExhaustError as error:
                if error.retryable:
                    raise
                # The day of this message is finished, and so does not fail for it.
                log.exception("request.not_assembled_partially", error=error.message)
            return None
        failpoint("assemble.after_listing")
        try:
            return await self._outcome(place)
        except ObjectMissingError:
            archive = await self._assemble(request, place, days, keys)
        failpoint("assemble.after_upload")
        outcome = Outcome(request=_requested_work(request), archive=archive)
        try:
            await self._objects.put(
                self._bucket, place.outcome_key, outcome.to_json(), content_type="application/json", if_absent=True
            )
        except ObjectExistsError:
            log.info("request.assembled_already")
            return await self._outcome(place)
        failpoint("assemble.after_outcome")
        return archive

    async def _assemble_partial_if_settled(self, request: DayRequested, place: WorkPlace, present: set[str]) -> None:
        days = DayRange(request.fromdate, request.todate)
        missing = [day for day in days if place.marker_key(day) not in present]
        if len(missing) == len(days) or not present.issuperset(map(place.failed_marker_key, missing)):
            return
        with suppress(ObjectMissingError):
            await self._objects.head(self._bucket, place.partial_key)
            return
        failed_keys = [place.failed_marker_key(day) for day in missing]
        failed = [FailedDay.model_validate_json(marker) for marker in await self._get_all(failed_keys)]
        finished = await self._get_all([place.marker_key(day) for day in days if day not in missing])
        summaries = [DaySummary.from_json(marker) for marker in finished]
        manifest = manifest_json(request.datasetid, request.resourceid, days, request.tags, summaries, failed)
        failpoint("partial.before_upload")
        archive = await self._writer.write(place.partial_archive_key(missing), summaries, manifest)
        failpoint("partial.after_upload")
        partial = PartialOutcome(request=_requested_work(request), archive=archive, missing=tuple(missing))
        with suppress(ObjectExistsError):
            await self._objects.put(
                self._bucket, place.partial_key, partial.to_json(), content_type="application/json", if_absent=True
            )
        log.info("request.assembled_partially", bytes=archive.size, missing=len(missing))

    async def _get_all(self, keys: Sequence[str]) -> list[bytes]:
        return await asyncio.gather(*(self._objects.get(self._bucket, key) for key in keys))

    async def _outcome(self, place: WorkPlace) -> FinishedArchive:
        return Outcome.model_validate_json(await self._objects.get(self._bucket, place.outcome_key)).archive

    async def _assemble(
        self, request: DayRequested, place: WorkPlace, days: DayRange, marker_keys: Sequence[str]
    ) -> FinishedArchive:
        summaries = [DaySummary.from_json(marker) for marker in await self._get_all(marker_keys)]
        manifest = manifest_json(request.datasetid, request.resourceid, days, request.tags, summaries)
        failpoint("assemble.before_upload")
        return await self._writer.write(place.archive_key, summaries, manifest)


def _place(request: DatasetRequested) -> WorkPlace:
    return work_place(
        request.requestid,
        request.attempt,
        dataset=request.datasetid,
        resource=request.resourceid,
        first=request.fromdate,
        last=request.todate,
        tags=request.tags,
    )


def _requested_work(request: DayRequested) -> RequestedWork:
    return RequestedWork(
        datasetid=request.datasetid,
        resourceid=request.resourceid,
        fromdate=request.fromdate,
        todate=request.todate,
        tags=tuple(sorted(set(request.tags))),
    )
