"""The summaries of day archives without tag filters: a listing for each resource, and a read of each that is new."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Final

import orjson

from exhaust.domain.object_keys import day_summaries_prefix
from exhaust.s3.errors import ObjectMissingError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from exhaust.domain.days import DayRange
    from exhaust.s3.object_info import ObjectInfo
    from exhaust.s3.store import ObjectStore

READS_AT_ONCE: Final = 16
LISTS_AT_ONCE: Final = 8
MOST_LISTED: Final = 2000  # summaries of a range: several a day where telemetry came late, or was asked for by tags
MAX_REMEMBERED: Final = 50_000
MAX_LISTINGS: Final = 500
LISTED_FOR: Final = timedelta(minutes=5)  # an archive that expires is missed so much later
LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class DayRecord:
    """A summary, as far as it is of use here.

    Attributes:
        size: bytes of the archive.
        bytes: of the events in it, uncompressed.
        sources: source objects of the day.
    """

    events: int
    bytes: int
    size: int
    sources: int


@dataclass(frozen=True, slots=True)
class BuiltDay:
    """The newest archive of a day, and when it was built."""

    record: DayRecord
    built_at: datetime


@dataclass(frozen=True, slots=True)
class _Found:
    at: float
    built: Mapping[date, BuiltDay]


class DayRecords:
    """The summaries in the bucket. They never change, so that each is read once and remembered."""

    def __init__(
        self, objects: ObjectStore, bucket: str, clock: Callable[[], float], *, max_remembered: int = MAX_REMEMBERED
    ) -> None:
        """Prepare.

        Args:
            objects: where the summaries are.
            bucket: of archives.
            clock: monotonic seconds.
            max_remembered: summaries; the one that was used longest ago is forgotten first.
        """
        self._objects = objects
        self._bucket = bucket
        self._max_remembered = max_remembered
        self._clock = clock
        self._known: OrderedDict[str, DayRecord | None] = OrderedDict()
        self._found: OrderedDict[tuple[str, DayRange], _Found] = OrderedDict()
        self._reads = asyncio.Semaphore(READS_AT_ONCE)
        self._lists = asyncio.Semaphore(LISTS_AT_ONCE)

    async def find(self, dataset: str, resource: str, days: DayRange, *, moving: bool) -> Mapping[date, BuiltDay]:
        """Return the newest archive without tag filter of each day that has one.

        Args:
            dataset: of the days.
            resource: of the days.
            days: one after another.
            moving: its archives may have changed within LISTED_FOR, so what was found before does not count.

        Raises:
            ExhaustError: SERVICE_UNAVAILABLE.
        """
        prefix = day_summaries_prefix(dataset, resource)
        asked_at, found = self._clock(), self._found.get((prefix, days))
        if found is not None and not moving and asked_at - found.at < LISTED_FOR.total_seconds():
            return found.built
        built = await self._look(prefix, days)
        self._found[prefix, days] = _Found(asked_at, built)
        self._found.move_to_end((prefix, days))
        if len(self._found) > MAX_LISTINGS:
            self._found.popitem(last=False)
        return built

    async def _look(self, prefix: str, days: DayRange) -> dict[date, BuiltDay]:
        async with self._lists:
            listed = await self._list(prefix, days)
        records = await asyncio.gather(*(self._record(found) for found in listed))
        built: dict[date, BuiltDay] = {}
        for found, record in zip(listed, records, strict=True):
            day = date.fromisoformat(found.key.removeprefix(prefix)[:10])
            at = found.modified_at or LONG_AGO
            if record is not None and (day not in built or built[day].built_at <= at):
                built[day] = BuiltDay(record, at)
        return built

    async def _list(self, prefix: str, days: DayRange) -> list[ObjectInfo]:
        listed: list[ObjectInfo] = []
        # Behind all of the day before. SeaweedFS also passes over a folder whose very name is given.
        behind = f"{prefix}{days.first - timedelta(days=1)}~"
        async for found in self._objects.list(self._bucket, prefix, after=behind):
            if found.key.removeprefix(prefix)[:10] > days.last.isoformat() or len(listed) == MOST_LISTED:
                break
            listed.append(found)
        return listed

    async def _record(self, found: ObjectInfo) -> DayRecord | None:
        """Return what a summary says; None for one of an archive of some tags, or that is gone."""
        if found.key in self._known:
            self._known.move_to_end(found.key)
            return self._known[found.key]
        try:
            async with self._reads:
                data = await self._objects.get(self._bucket, found.key)
        except ObjectMissingError:  # it expired since it was listed
            return None
        self._known[found.key] = record = _parsed(data)
        if len(self._known) > self._max_remembered:
            self._known.popitem(last=False)
        return record


def _parsed(data: bytes) -> DayRecord | None:
    """Return what a summary says; None when it has tags, or is of an earlier version and does not say."""
    summary = orjson.loads(data)
    if summary.get("tags") != []:
        return None
    return DayRecord(summary["events"], summary["bytes"], summary["size"], len(summary["sources"]))
