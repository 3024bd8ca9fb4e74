"""The assembler joins the days of a request into the download. The aggregator that finishes the last day does it."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog

from exhaust.domain.days import DayRange
from exhaust.domain.object_keys import WorkPlace, work_place
from exhaust.errors import ErrorCode, ExhaustError
from exhaust.process.failpoints import failpoint
from exhaust.s3.errors import ObjectExistsError, ObjectMissingError
from exhaust.s3.multipart import MIN_PART_SIZE
from schemas.events import FinishedArchive, Outcome, RequestedWork
from services.aggregator.archive.day_summary import DaySummary
from services.aggregator.archive.manifest import manifest_json
from services.aggregator.archive.outer_archive import StoredDay, outer_digest, outer_segments, outer_size
from services.aggregator.archive.part_plan import ObjectRange, ReadPart, plan_parts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exhaust.s3.object_info import ObjectInfo
    from exhaust.s3.store import ObjectStore
    from schemas.events import DatasetRequested, DayRequested
    from services.aggregator.archive.part_plan import Part

ZIP: Final = "application/zip"

log = structlog.get_logger(__name__)


class Assembler:
    """The markers of finished days, and the download that is assembled when no marker is missing.

    S3 is strongly consistent: of several aggregators that write their markers and then list, the last sees them all.
    Two may see them all; they write the same bytes, and the first outcome stays.
    """

    def __init__(self, objects: ObjectStore, bucket: str) -> None:
        self._objects = objects
        self._bucket = bucket

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

    async def assemble_if_last(self, request: DayRequested) -> FinishedArchive | None:
        """Assemble the download if all days of the attempt are finished; otherwise return None."""
        place = _place(request)
        days = DayRange(request.fromdate, request.todate)
        present = {found.key async for found in self._objects.list(self._bucket, place.markers_prefix)}
        keys = [place.marker_key(day) for day in days]
        if not present.issuperset(keys):
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

    async def _outcome(self, place: WorkPlace) -> FinishedArchive:
        return Outcome.model_validate_json(await self._objects.get(self._bucket, place.outcome_key)).archive

    async def _assemble(
        self, request: DayRequested, place: WorkPlace, days: DayRange, marker_keys: Sequence[str]
    ) -> FinishedArchive:
        markers = await asyncio.gather(*(self._objects.get(self._bucket, key) for key in marker_keys))
        summaries = [DaySummary.from_json(marker) for marker in markers]
        manifest = manifest_json(request.datasetid, request.resourceid, days, request.tags, summaries)
        segments = outer_segments(
            [StoredDay(summary.day, summary.key, summary.size, summary.crc32) for summary in summaries], manifest
        )
        failpoint("assemble.before_upload")
        sha256 = await self._write(place.archive_key, plan_parts(segments, min_part=MIN_PART_SIZE))
        return FinishedArchive(
            key=place.archive_key,
            size=outer_size(segments),
            digest=outer_digest(segments, {summary.key: summary.sha256 for summary in summaries}),
            sha256=sha256,
            events=sum(summary.events for summary in summaries),
            bytes=sum(summary.bytes for summary in summaries),
        )

    async def _write(self, key: str, parts: Sequence[Part]) -> str | None:
        """Write the download; return its SHA-256 if all its bytes came through here."""
        if len(parts) == 1 and isinstance(parts[0], ReadPart):
            data = await self._read(parts[0])
            await self._objects.put(self._bucket, key, data, content_type=ZIP)
            return hashlib.sha256(data).hexdigest()
        async with self._objects.multipart_upload(self._bucket, key, ZIP) as upload:
            for part in parts:
                if isinstance(part, ReadPart):
                    await upload.add_part(partial(self._read, part))
                else:
                    await upload.copy_part(await self._head(part), part.start, part.end)
            await upload.complete()
        return None

    async def _read(self, part: ReadPart) -> bytes:
        data = bytearray()
        for piece in part.pieces:
            if isinstance(piece, ObjectRange):
                found = await self._head(piece)
                async with aclosing(
                    self._objects.stream(self._bucket, found, start=piece.start, end=piece.end)
                ) as chunks:
                    async for chunk in chunks:
                        data += chunk
            else:
                data += piece
        return bytes(data)

    async def _head(self, piece: ObjectRange) -> ObjectInfo:
        """Return the object of a range. A store sends fewer bytes than it is asked for without an error."""
        found = await self._objects.head(self._bucket, piece.key)
        if found.size < piece.end:
            raise ExhaustError(
                ErrorCode.INTERNAL_ERROR, f"{piece.key} has {found.size} bytes, fewer than its summary says"
            )
        return found


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
