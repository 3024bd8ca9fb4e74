"""Scan: the objects of one day read once, and the archives of all who want it written side by side.

Objects are scanned several at a time; what they give is written in the order of their keys, so an archive's bytes do
not depend on which object was faster.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, ExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from exhaust.domain.member_names import member_names
from exhaust.errors import ErrorCode, ExhaustError
from services.aggregator.build.archive_upload import ArchiveUpload, LineNumbers
from services.aggregator.build.byte_queue import ByteQueue
from services.aggregator.build.duplicates import open_duplicates
from services.aggregator.scan.numbering import NumberOrder
from services.aggregator.scan.passing import SeveralMembersError
from services.aggregator.scan.size_guard import Limits
from services.aggregator.scan.source_scan import ScanOrder

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Sequence

    from exhaust.s3.object_info import ObjectInfo
    from exhaust.s3.store import Objects
    from services.aggregator.archive.day_summary import DaySummary
    from services.aggregator.build.day_plan import DayPlan
    from services.aggregator.build.lanes import Lanes
    from services.aggregator.scan.source_scan import Ready, Scanned
    from services.aggregator.settings import AggregatorSettings

_AHEAD_BYTES: Final = 4 * 1024 * 1024  # that wait for their turn, for each object
# One object more than there are lanes is opened, so that no lane waits for the store's first byte.
_OPENED_AHEAD: Final = 1

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Begun:
    """An object whose scan has begun."""

    source: ObjectInfo
    member: str
    given: ByteQueue[Ready]
    scan: asyncio.Task[list[Scanned]]


class DayScanner:
    """Writes the archives of days."""

    def __init__(self, objects: Objects, lanes: Lanes, settings: AggregatorSettings) -> None:
        self._objects = objects
        self._lanes = lanes
        self._raw_bucket = settings.s3_raw_bucket
        self._exhaust_bucket = settings.s3_exhaust_bucket
        self._limits = Limits(
            max_bytes=settings.max_object_bytes,
            max_ratio=settings.max_ratio,
            ratio_grace=settings.ratio_grace_bytes,
            max_members=settings.max_members,
            max_line=settings.max_line_bytes,
        )

    async def write(self, plans: Sequence[DayPlan]) -> list[DaySummary]:
        """Write the archives of one day, and then their summaries.

        Args:
            plans: at least one, all with the same scan key.

        Returns:
            Their summaries, in the same order.

        Raises:
            SourceObjectError: an object cannot be exported.
            ExhaustError: S3 or a lane is away, or the folder for temporary files is full.
        """
        deflate_anew: set[str] = set()
        while True:
            try:
                return await self._attempt(plans, deflate_anew)
            except SeveralMembersError as error:
                deflate_anew.add(error.object_key)
            except OSError as error:  # the store's and the lanes' are ExhaustErrors by now
                log.exception("files.cannot_be_kept")
                raise ExhaustError(
                    ErrorCode.SERVICE_UNAVAILABLE, "the aggregator cannot keep its temporary files; try again later"
                ) from error

    async def _attempt(self, plans: Sequence[DayPlan], deflate_anew: set[str]) -> list[DaySummary]:
        with ExitStack() as stack:
            archives = [
                ArchiveUpload(
                    self._objects,
                    self._exhaust_bucket,
                    plan.archive_key,
                    plan.day,
                    stack.enter_context(open_duplicates()),
                )
                for plan in plans
            ]
            try:
                async with asyncio.TaskGroup() as group:
                    for archive in archives:
                        group.create_task(archive.upload())
                    group.create_task(self._scan(group, plans, archives, deflate_anew))
            except BaseExceptionGroup as errors:
                raise errors.exceptions[0] from errors
            numbers = await self._line_numbers(archives)
            summaries = [await archive.summary(numbers) for archive in archives]
        # Last, because a summary is what says that its archive is there.
        await asyncio.gather(*map(self._keep, plans, summaries))
        return summaries

    async def _keep(self, plan: DayPlan, summary: DaySummary) -> None:
        await self._objects.put(
            self._exhaust_bucket, plan.summary_key, summary.to_json(), content_type="application/json"
        )

    async def _scan(
        self,
        group: asyncio.TaskGroup,
        plans: Sequence[DayPlan],
        archives: Sequence[ArchiveUpload],
        deflate_anew: set[str],
    ) -> None:
        sources = plans[0].sources
        selections = [plan.selection for plan in plans]
        begun: asyncio.Queue[_Begun] = asyncio.Queue(self._lanes.count + _OPENED_AHEAD)
        # Objects get lanes in the order in which they are written; else those that wait to be written, their queues
        # full, could hold every lane, and the object that all wait for would get none.
        in_order = asyncio.Lock()

        async def begin() -> None:
            for source, member in zip(sources, member_names([source.key for source in sources]), strict=True):
                order = ScanOrder(source.key, self._limits, selections, deflate_anew=source.key in deflate_anew)
                given: ByteQueue[Ready] = ByteQueue(_AHEAD_BYTES)
                scan = group.create_task(self._scan_object(source, order, given, in_order))
                await begun.put(_Begun(source, member, given, scan))

        group.create_task(begin())
        for _ in sources:
            await self._write_object(await begun.get(), archives)
        for archive in archives:
            await archive.finish()

    async def _scan_object(
        self, source: ObjectInfo, order: ScanOrder, given: ByteQueue[Ready], in_order: asyncio.Lock
    ) -> list[Scanned]:
        async def take(ready: Ready) -> None:
            size = sum(map(len, ready.deflated))
            if size or ready.mids:
                await given.put(ready, size)

        try:
            async with AsyncExitStack() as stack:
                chunks = await stack.enter_async_context(_opened(self._objects.stream(self._raw_bucket, source)))
                async with in_order:
                    lane = await stack.enter_async_context(self._lanes.lane())
                return await lane.scan(order, chunks, take)
        finally:
            await given.end()

    async def _line_numbers(self, archives: Sequence[ArchiveUpload]) -> LineNumbers:
        """The numbers of the lines that could not be read."""
        places: dict[ObjectInfo, set[int]] = {}
        for source, offset in (place for archive in archives for place in archive.unreadable_at):
            places.setdefault(source, set()).add(offset)
        numbers: dict[tuple[str, int], int] = {}
        for source, offsets in places.items():
            order = NumberOrder(source.key, self._limits, sorted(offsets))
            async with self._lanes.lane() as lane:
                found = await lane.number(order, self._objects.stream(self._raw_bucket, source))
            numbers |= {(source.key, offset): number for offset, number in found.items()}
        return numbers

    async def _write_object(self, begun: _Begun, archives: Sequence[ArchiveUpload]) -> None:
        async for ready in begun.given.items():
            for archive, data in zip(archives, ready.deflated, strict=True):
                if data:
                    await archive.add(begun.source, begun.member, data)
            for archive, hashes in zip(archives, ready.mids, strict=False):
                archive.duplicates.add(hashes)
        for archive, scanned in zip(archives, await begun.scan, strict=True):
            await archive.end_source(begun.source, scanned)


@asynccontextmanager
async def _opened(stream: AsyncGenerator[bytes, None]) -> AsyncIterator[AsyncGenerator[bytes, None]]:
    """A stream whose first chunk is fetched already, whether or not somebody reads it yet."""

    async def chunks() -> AsyncGenerator[bytes, None]:
        if chunk := await first:
            yield chunk
        async for chunk in stream:
            yield chunk

    async with aclosing(stream):
        first = asyncio.ensure_future(anext(stream, b""))
        try:
            yield chunks()
        finally:
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)
