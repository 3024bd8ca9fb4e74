"""Scan: the objects of one day read once, and the archives of all who want it written side by side.

Objects are scanned several at a time; what they give is written in the order of their keys, so an archive's bytes do
not depend on which object was faster.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from exhaust.archive.member_names import member_names
from services.aggregator.archive_upload import ArchiveUpload
from services.aggregator.byte_queue import ByteQueue
from services.aggregator.duplicates import open_duplicates
from services.aggregator.scan.numbering import NumberOrder
from services.aggregator.scan.passing import SeveralMembersError
from services.aggregator.scan.source_scan import ScanOrder

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from datetime import date

    from exhaust.archive.day_record import DayRecord
    from exhaust.object_info import ObjectInfo
    from exhaust.objects import Objects
    from services.aggregator.lanes import Lanes
    from services.aggregator.scan.inflating import Limits
    from services.aggregator.scan.selecting import Selection
    from services.aggregator.scan.source_scan import Ready, Scanned

_AHEAD_BYTES: Final = 8 * 1024 * 1024  # that wait for their turn, for each object
# One object more than there are lanes is opened, so that no lane waits for the store's first byte.
_OPENED_AHEAD: Final = 1


@dataclass(frozen=True, slots=True)
class WantedArchive:
    """A day archive to be written: what shall be in it, and its key in the exhaust bucket."""

    selection: Selection
    key: str


@dataclass(frozen=True, slots=True)
class Buckets:
    """Where raw objects lie and archives go."""

    raw: str
    exhaust: str


# What the object gave to each, and the numbers of its unreadable lines by their offsets.
_Outcome: TypeAlias = "tuple[list[Scanned], Mapping[int, int]]"
_Given: TypeAlias = tuple[Sequence[bytes], Sequence[Mapping[int, bytes]]]


@dataclass(slots=True)
class _Begun:
    """An object whose scan has begun."""

    source: ObjectInfo
    member: str
    given: ByteQueue[_Given]
    scan: asyncio.Task[_Outcome]


class DayScanner:
    """Writes the archives of days."""

    def __init__(self, objects: Objects, lanes: Lanes, buckets: Buckets, limits: Limits) -> None:
        self._objects = objects
        self._lanes = lanes
        self._buckets = buckets
        self._limits = limits

    async def write(self, day: date, sources: Sequence[ObjectInfo], wanted: Sequence[WantedArchive]) -> list[DayRecord]:
        """Write the archives that are wanted of one day.

        Args:
            day: the day.
            sources: its raw objects, in key order.
            wanted: one that takes all is alone.

        Returns:
            Their records, in the order wanted.

        Raises:
            SourceObjectError: an object cannot be exported.
            ExhaustError: S3 or a lane is away.
        """
        deflate_anew: set[str] = set()
        while True:
            try:
                return await self._attempt(day, sources, wanted, deflate_anew)
            except _DeflateAnewError as error:
                deflate_anew.add(error.key)

    async def _attempt(
        self, day: date, sources: Sequence[ObjectInfo], wanted: Sequence[WantedArchive], deflate_anew: set[str]
    ) -> list[DayRecord]:
        with ExitStack() as stack:
            archives = [
                ArchiveUpload(
                    self._objects, self._buckets.exhaust, each.key, day, stack.enter_context(open_duplicates())
                )
                for each in wanted
            ]
            selections = [each.selection for each in wanted]
            try:
                async with asyncio.TaskGroup() as group:
                    for archive in archives:
                        group.create_task(archive.upload())
                    group.create_task(self._scan(group, sources, selections, archives, deflate_anew))
            except BaseExceptionGroup as errors:
                raise errors.exceptions[0] from errors
            return [await archive.record() for archive in archives]

    async def _scan(
        self,
        group: asyncio.TaskGroup,
        sources: Sequence[ObjectInfo],
        selections: Sequence[Selection],
        archives: Sequence[ArchiveUpload],
        deflate_anew: set[str],
    ) -> None:
        begun: asyncio.Queue[_Begun] = asyncio.Queue(self._lanes.count + _OPENED_AHEAD)

        async def begin() -> None:
            for source, member in zip(sources, member_names([source.key for source in sources]), strict=True):
                order = ScanOrder(source.key, self._limits, selections, deflate_anew=source.key in deflate_anew)
                given: ByteQueue[_Given] = ByteQueue(_AHEAD_BYTES)
                scan = group.create_task(self._scan_object(source, order, given))
                await begun.put(_Begun(source, member, given, scan))

        group.create_task(begin())
        for _ in sources:
            await self._write_object(await begun.get(), archives)
        for archive in archives:
            await archive.finish()

    async def _scan_object(self, source: ObjectInfo, order: ScanOrder, given: ByteQueue[_Given]) -> _Outcome:
        async def take(ready: Ready, parts: Sequence[bytes]) -> None:
            size = sum(map(len, parts))
            if size or ready.mids:
                await given.put((parts, ready.mids), size)

        try:
            async with aclosing(self._objects.stream(self._buckets.raw, source)) as stream:
                first = await anext(stream, b"")
                scanned = await self._lanes.scan(order, _joined(first, stream), take)
        except SeveralMembersError as error:
            raise _DeflateAnewError(source.key) from error
        finally:
            await given.end()
        return scanned, await self._line_numbers(source, scanned)

    async def _line_numbers(self, source: ObjectInfo, scanned: Sequence[Scanned]) -> Mapping[int, int]:
        """The numbers of the lines that could not be read."""
        offsets = [offset for each in scanned for offset in each.tally.unreadable_at]
        if not offsets:
            return {}
        order = NumberOrder(source.key, self._limits, offsets)
        return await self._lanes.number(order, self._objects.stream(self._buckets.raw, source))

    async def _write_object(self, begun: _Begun, archives: Sequence[ArchiveUpload]) -> None:
        async for parts, mids in begun.given.items():
            for archive, data in zip(archives, parts, strict=True):
                if data:
                    await archive.add(begun.source, begun.member, data)
            for archive, hashes in zip(archives, mids, strict=False):
                archive.duplicates.add(hashes)
        outcome, numbers = await begun.scan
        for archive, scanned in zip(archives, outcome, strict=True):
            await archive.end_source(begun.source, scanned, numbers)


class _DeflateAnewError(Exception):
    """An object holds several gzip members: the day is written again, and this object deflated."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


async def _joined(first: bytes, rest: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    if first:
        yield first
    async for chunk in rest:
        yield chunk
