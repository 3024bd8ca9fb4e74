"""One scan of a day: its objects are read once, and its archives are written side by side.

Several objects are scanned at a time. Their output is written in the order of their keys, so that the bytes of an
archive do not depend on which object was faster.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import AsyncExitStack, ExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import structlog

from exhaust.errors import ErrorCode, ExhaustError
from exhaust.process.failpoints import failpoint
from services.aggregator.archive.member_names import member_names
from services.aggregator.build.archive_upload import ArchiveUpload, LineNumbers
from services.aggregator.build.byte_queue import ByteQueue
from services.aggregator.build.held_member import open_held_member
from services.aggregator.build.repeated_ids import open_repeated_ids
from services.aggregator.scan.gzip_passthrough import SeveralMembersError
from services.aggregator.scan.line_numbers import LineNumberJob
from services.aggregator.scan.size_guard import SourceLimits
from services.aggregator.scan.source_scan import ScanJob

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Sequence

    from exhaust.s3.object_info import ObjectInfo
    from exhaust.s3.store import ObjectStore
    from services.aggregator.archive.day_summary import DaySummary
    from services.aggregator.build.day_plan import DayPlan
    from services.aggregator.build.scan_workers import ScanWorkerPool
    from services.aggregator.scan.source_scan import ScanOutput, ScanResult
    from services.aggregator.settings import AggregatorSettings

_MAX_WAITING_BYTES: Final = 4 * 1024 * 1024  # of one object's output, until it is its turn to be written
# One object more than there are scan workers is opened, so that no worker waits for the store's first byte.
_OPENED_AHEAD: Final = 1

log = structlog.get_logger(__name__)


class _OutgrownError(Exception):
    """Members turned out to need eight-byte sizes. Where they are known, the archives can be written."""


@dataclass(frozen=True, slots=True)
class _Exceptions:
    """Keys of the source objects that earlier attempts at a scan found to be exceptions.

    Attributes:
        recompress: those whose own deflate stream cannot pass as it is.
        large: by archive key, those whose members need eight-byte sizes.
    """

    recompress: set[str] = field(default_factory=set)
    large: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))


@dataclass(frozen=True, slots=True)
class _ObjectScan:
    """The scan of one object, which runs.

    Attributes:
        member: name of the object's member in the archives.
        outputs: what its chunks gave, in their order.
        results: what the whole object gave, for each archive.
    """

    source: ObjectInfo
    member: str
    outputs: ByteQueue[ScanOutput]
    results: asyncio.Task[list[ScanResult]]


class DayScanner:
    """Scans the objects of a day and writes the archives that are wanted of it."""

    def __init__(
        self,
        objects: ObjectStore,
        workers: ScanWorkerPool,
        settings: AggregatorSettings,
        count_read: Callable[[int], None] = lambda _size: None,
    ) -> None:
        """Prepare.

        Args:
            objects: the store.
            workers: scan the objects.
            settings: the buckets, and the limits of an object.
            count_read: is told how many stored bytes were read, while they are.
        """
        self._count_read = count_read
        self._objects = objects
        self._workers = workers
        self._raw_bucket = settings.s3_raw_bucket
        self._exhaust_bucket = settings.s3_exhaust_bucket
        self._limits = SourceLimits(
            max_bytes=settings.max_object_bytes,
            max_ratio=settings.max_ratio,
            ratio_grace=settings.ratio_grace_bytes,
            max_members=settings.max_members,
            max_line=settings.max_line_bytes,
        )

    async def write(self, plans: Sequence[DayPlan]) -> list[DaySummary]:
        """Write the archives of one scan, and then their summaries.

        Args:
            plans: at least one, all with the same scan key.

        Returns:
            The summaries, in the same order.

        Raises:
            SourceObjectError: an object cannot be exported.
            ExhaustError: SERVICE_UNAVAILABLE when S3 is away, a scan worker ended, or there is no room for temporary
                files.
        """
        exceptions = _Exceptions()
        while True:
            try:
                return await self._write(plans, exceptions)
            except SeveralMembersError as error:
                exceptions.recompress.add(error.object_key)
            except _OutgrownError:
                log.info("day.scanned_again", day=str(plans[0].day), reason="members of 4 GiB and more")
            except OSError as error:  # those of the store and of the scan workers are ExhaustErrors by now
                log.exception("temporary_files.failed")
                raise ExhaustError(
                    ErrorCode.SERVICE_UNAVAILABLE, "the aggregator cannot keep its temporary files; try again later"
                ) from error

    async def _write(self, plans: Sequence[DayPlan], exceptions: _Exceptions) -> list[DaySummary]:
        with ExitStack() as stack:
            archives = [
                ArchiveUpload(
                    self._objects,
                    self._exhaust_bucket,
                    plan.archive_key,
                    plan.day,
                    repeated_ids=stack.enter_context(open_repeated_ids()),
                    held=stack.enter_context(open_held_member()),
                    large=exceptions.large[plan.archive_key],
                )
                for plan in plans
            ]
            try:
                async with asyncio.TaskGroup() as group:
                    for archive in archives:
                        group.create_task(archive.upload())
                    group.create_task(self._scan(group, plans, archives, exceptions))
            except BaseExceptionGroup as errors:
                raise errors.exceptions[0] from errors
            numbers = await self._number_lines(archives)
            summaries = [
                replace(await archive.summary(numbers), tags=plan.selection.tags)
                for archive, plan in zip(archives, plans, strict=True)
            ]
        failpoint("day.before_summary")
        # Last, because a summary is what says that its archive is there.
        await asyncio.gather(*map(self._put_summary, plans, summaries))
        failpoint("day.after_summary")
        return summaries

    async def _put_summary(self, plan: DayPlan, summary: DaySummary) -> None:
        await self._objects.put(
            self._exhaust_bucket, plan.summary_key, summary.to_json(), content_type="application/json"
        )

    async def _scan(
        self,
        group: asyncio.TaskGroup,
        plans: Sequence[DayPlan],
        archives: Sequence[ArchiveUpload],
        exceptions: _Exceptions,
    ) -> None:
        """Scan the objects of the day as tasks of the group, and write their output in order."""
        sources = plans[0].sources
        scans: asyncio.Queue[_ObjectScan] = asyncio.Queue(self._workers.count + _OPENED_AHEAD)
        # Objects get workers in the order in which they are written. Otherwise objects whose queues are full, since
        # they wait to be written, could hold every worker, and the object that all wait for would get none.
        in_order = asyncio.Lock()
        resources = {plan.resource for plan in plans}

        async def start_scans() -> None:
            for source, member in zip(sources, member_names([source.key for source in sources]), strict=True):
                selections = [plan.selection_from(source) for plan in plans]
                recompress = source.key in exceptions.recompress
                job = ScanJob(source.key, self._limits, selections, recompress=recompress)
                outputs: ByteQueue[ScanOutput] = ByteQueue(_MAX_WAITING_BYTES)
                results = group.create_task(self._scan_object(source, job, outputs, resources, in_order))
                await scans.put(_ObjectScan(source, member, outputs, results))

        group.create_task(start_scans())
        for _ in sources:
            await self._write_object(await scans.get(), archives)
        for plan, archive in zip(plans, archives, strict=True):
            exceptions.large[plan.archive_key] |= archive.outgrown
        if any(archive.outgrown for archive in archives):
            raise _OutgrownError
        for archive in archives:
            await archive.finish()

    async def _scan_object(
        self,
        source: ObjectInfo,
        job: ScanJob,
        outputs: ByteQueue[ScanOutput],
        resources: Collection[str],
        in_order: asyncio.Lock,
    ) -> list[ScanResult]:
        async def enqueue(output: ScanOutput) -> None:
            size = sum(map(len, output.deflated))
            if size or output.id_hashes:
                await outputs.put(output, size)

        try:
            stream = self._objects.stream(self._raw_bucket, source)
            async with AsyncExitStack() as stack:
                chunks = await stack.enter_async_context(_prefetched(stream, self._count_read))
                async with in_order:
                    worker = await stack.enter_async_context(self._workers.worker(resources))
                return await worker.scan(job, chunks, enqueue)
        finally:
            await outputs.end()

    async def _write_object(self, scan: _ObjectScan, archives: Sequence[ArchiveUpload]) -> None:
        async for output in scan.outputs.items():
            for archive, deflated in zip(archives, output.deflated, strict=True):
                if deflated:
                    await archive.add(scan.source, scan.member, deflated)
            for archive, hashes in zip(archives, output.id_hashes, strict=False):
                archive.repeated_ids.add(hashes)
        results = await scan.results
        for archive, result in zip(archives, results, strict=True):
            await archive.end_source(scan.source, scan.member, result)
        if not results[0].has_events:
            log.warning("source_object.without_events", source_object=scan.source.key)

    async def _number_lines(self, archives: Sequence[ArchiveUpload]) -> LineNumbers:
        """Return the numbers of the unreadable lines of all archives. Each object that has some is read once more."""
        offsets_by_source: dict[ObjectInfo, set[int]] = {}
        for source, offset in (line for archive in archives for line in archive.unreadable_lines):
            offsets_by_source.setdefault(source, set()).add(offset)
        numbers: dict[tuple[str, int], int] = {}
        for source, offsets in offsets_by_source.items():
            job = LineNumberJob(source.key, self._limits, sorted(offsets))
            async with self._workers.worker() as worker:
                found = await worker.number_lines(job, self._objects.stream(self._raw_bucket, source))
            self._count_read(source.size)
            numbers |= {(source.key, offset): number for offset, number in found.items()}
        return numbers


@asynccontextmanager
async def _prefetched(
    stream: AsyncGenerator[bytes, None], count_read: Callable[[int], None]
) -> AsyncIterator[AsyncGenerator[bytes, None]]:
    """Open a stream and fetch its first chunk, before anybody reads it; close it at the end of the block."""

    async def chunks() -> AsyncGenerator[bytes, None]:
        if chunk := await first:
            count_read(len(chunk))
            yield chunk
        async for chunk in stream:
            count_read(len(chunk))
            yield chunk

    async with aclosing(stream):
        first = asyncio.ensure_future(anext(stream, b""))
        try:
            yield chunks()
        finally:
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)
