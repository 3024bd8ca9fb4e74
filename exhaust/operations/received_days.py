"""What was received, by day: the raw objects of a dataset, as the store lists them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Final

from exhaust.domain.catalogue import Layout

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from exhaust.domain.catalogue import Dataset
    from exhaust.domain.days import DayRange
    from exhaust.s3.object_info import ObjectInfo
    from exhaust.s3.store import ObjectStore

MAX_LISTED: Final = 200_000  # objects of a dataset whose folders cannot be listed by day
_NAME: Final = re.compile(r"(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})-[^/]*", re.ASCII)


@dataclass(slots=True)
class ReceivedDay:
    """The raw objects of a day, and their bytes as stored."""

    objects: int = 0
    bytes: int = 0


async def list_received_days(
    objects: ObjectStore, bucket: str, dataset: Dataset, days: DayRange
) -> dict[date, ReceivedDay] | None:
    """Return what was received on each of the days; None when there are too many objects to look at.

    Raises:
        ExhaustError: SERVICE_UNAVAILABLE.
    """
    received = {day: ReceivedDay() for day in days}
    if dataset.layout is Layout.SHARED:
        async for found in _between(objects, bucket, dataset.prefix, days):
            _count_named(received, found.key.removeprefix(dataset.prefix), found.size)
        return received
    listed = 0
    async for found in objects.list(bucket, dataset.prefix):
        listed += 1
        if listed > MAX_LISTED:
            return None
        _count_named(received, found.key.removeprefix(dataset.prefix).partition("/")[2], found.size)
    return received


async def _between(objects: ObjectStore, bucket: str, prefix: str, days: DayRange) -> AsyncIterator[ObjectInfo]:
    """List the objects whose names begin with one of the days, and those between, in one listing."""
    end = f"{prefix}{days.last.isoformat()}."  # "." follows "-", which stands behind the day
    async for found in objects.list(bucket, prefix, after=f"{prefix}{days.first.isoformat()}"):
        if found.key >= end:
            return
        yield found


def _count_named(received: dict[date, ReceivedDay], file: str, size: int) -> None:
    """Count an object by its name, of a name that has one of the days."""
    name = _NAME.fullmatch(file)
    named = _day(name["day"]) if name else None
    if named in received:
        received[named].objects += 1
        received[named].bytes += size


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
