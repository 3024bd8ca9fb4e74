"""The page of days: what was received and built, and what could not be read, by dataset and day."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import BeforeValidator

from exhaust.domain.days import DayRange
from exhaust.errors import Dependency, ErrorCode, ExhaustError
from exhaust.operations.listings import day_rows, written
from exhaust.operations.received_days import ReceivedDay, list_received_days
from exhaust.postgres.day_overview import find_built_days
from services.console.reading import Reading
from services.console.stories.query import Query, Text, read_query, wrong
from services.console.stories.requests import own_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from multidict import MultiMapping

    from exhaust.domain.catalogue import Catalogue, Dataset
    from exhaust.postgres.database import Database
    from exhaust.s3.store import ObjectStore

MOST_DAYS: Final = 31
SHOWN_DAYS: Final = 7
LISTINGS: Final = 8  # at once, of all who look; each takes a connection to the store
Received = dict[tuple[str, date], ReceivedDay]


def _day(text: object) -> date:
    try:
        return date.fromisoformat(str(text))
    except ValueError as error:
        raise wrong("write a day as 2026-11-30") from error


class DaysQuery(Query):
    """The parameters: a dataset, and the first and the last day."""

    dataset: Text | None = None
    fromdate: Annotated[date | None, BeforeValidator(_day)] = None
    todate: Annotated[date | None, BeforeValidator(_day)] = None


class RawObjects:
    """The raw objects of a store.

    Args:
        store: where they are.
        bucket: of raw telemetry.
    """

    def __init__(self, store: ObjectStore, bucket: str) -> None:
        self._store = store
        self._bucket = bucket
        self._slots = asyncio.Semaphore(LISTINGS)

    async def received(self, dataset: Dataset, days: DayRange) -> Received:
        """Return what was received of a dataset.

        Raises:
            ExhaustError: SERVICE_UNAVAILABLE, also when there are too many objects to look at.
        """
        async with self._slots:
            found = await list_received_days(self._store, self._bucket, dataset, days)
        if found is None:
            raise ExhaustError(ErrorCode.SERVICE_UNAVAILABLE, "there are too many")
        return {(dataset.id, day): one for day, one in found.items()}


async def days_document(
    database: Database, raw: RawObjects, catalogue: Catalogue, query: MultiMapping[str]
) -> dict[str, Any]:
    """Return the page as JSON; without other days, the last seven until today.

    Raises:
        ExhaustError: INVALID_DATA_ERROR.
    """
    asked = read_query(query, DaysQuery)
    days = _days(asked)
    wanted = own_id(catalogue, asked.dataset) if asked.dataset else None
    every = {dataset.id: dataset for dataset in catalogue.by_name.values()}
    datasets = [dataset for dataset in every.values() if wanted in {None, dataset.id}]
    reading = Reading()
    built, received = await asyncio.gather(
        reading.see(find_built_days(database, days, dataset=wanted), "what was built"),
        _received(reading, raw, datasets, days),
    )
    return {
        "at": written(datetime.now(UTC)),
        "unseen": reading.unseen,
        "asked": {
            "dataset": query.get("dataset", ""),
            "fromdate": days.first.isoformat(),
            "todate": days.last.isoformat(),
        },
        "datasets": sorted(every),
        "days": day_rows(built, received),
    }


def _days(asked: DaysQuery) -> DayRange:
    today = datetime.now(UTC).date()
    last = asked.todate or (min(today, _plus(asked.fromdate, MOST_DAYS - 1)) if asked.fromdate else today)
    days = DayRange(asked.fromdate or _plus(last, 1 - SHOWN_DAYS), last)
    if not 1 <= len(days) <= MOST_DAYS:
        what = f"the first day must not be behind the last, and {MOST_DAYS} days are the most"
        raise ExhaustError(ErrorCode.INVALID_DATA_ERROR, f"fromdate: {what}", violations=[("?fromdate", what)])
    return days


def _plus(day: date, days: int) -> date:
    try:
        return day + timedelta(days=days)
    except OverflowError:
        return date.max if days > 0 else date.min


async def _received(reading: Reading, raw: RawObjects, datasets: Sequence[Dataset], days: DayRange) -> Received | None:
    """Return what was received, as far as it was seen; None when nothing was."""
    looks = [
        reading.see(raw.received(dataset, days), f"raw objects of {dataset.id}", Dependency.S3) for dataset in datasets
    ]
    received: Received = {}
    found = await asyncio.gather(*looks)
    for some in found:
        received |= some or {}
    return received if any(some is not None for some in found) else None
