"""The handlers of calls about the days of a resource, for callers whom the gateway has authorized for it."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

from exhaust.domain.days import MAX_LOOKED_AT_DAYS, DayRange, parse_day
from exhaust.errors import ErrorCode, ExhaustError
from exhaust.http.endpoint import Answer
from exhaust.postgres.asked_days import find_asked_days, find_moving_resources
from services.status.day_records import LISTED_FOR
from services.status.day_states import KnownDay, known_day
from services.status.estimates import estimated_bytes, in_seconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exhaust.http.endpoint import Call
    from exhaust.postgres.database import Database
    from schemas.operations import DaysBody
    from services.status.day_records import DayRecords
    from services.status.outlooks import Outlooks

DEADLINE: Final = timedelta(seconds=10)
SAMPLE_DAYS: Final = MAX_LOOKED_AT_DAYS  # whose sizes tell how large a day is that is not built


class DayCalls:
    """Answers what is known of days, from summaries and requests; it looks at no raw telemetry."""

    def __init__(self, database: Database, records: DayRecords, outlooks: Outlooks) -> None:
        self._database = database
        self._records = records
        self._outlooks = outlooks

    async def days(self, call: Call[DaysBody]) -> Answer:
        """Answer with each day of a range; where several resources are asked for, for each of them."""
        days, today = _range(call.body)
        resources = call.body.resource_ids or [call.body.resource_id]
        async with asyncio.timeout(DEADLINE.total_seconds()):
            known = await self._known(call.body.dataset_id, resources, days, today)
        told = [[day.to_json() for day in of_resource] for of_resource in known]
        if not call.body.resource_ids:
            return Answer({"days": told[0]})
        named = zip(resources, told, strict=True)
        return Answer({"resources": [{"resource": resource, "days": each} for resource, each in named]})

    async def estimate(self, call: Call[DaysBody]) -> Answer:
        """Answer how long a request would take, and how large its download would be."""
        days, today = _range(call.body)
        looked_at = DayRange(min(days.first, days.last - timedelta(days=SAMPLE_DAYS - 1)), days.last)
        partner = call.body.partner or call.body.resource_id
        async with asyncio.timeout(DEADLINE.total_seconds()):
            (known,) = await self._known(call.body.dataset_id, [call.body.resource_id], looked_at, today)
            samples = [day.built.record for day in known if day.built]
            asked = [day.built.record for day in known if day.built and day.day >= days.first]
            built = [] if call.body.tagged else asked  # archives of tags are others
            to_build = len(days) - len(built)
            remaining = await self._outlooks.forecast(call.body.dataset_id, partner, days=len(days), to_build=to_build)
        size = None if call.body.tagged else estimated_bytes(built, to_build, samples)
        return Answer(
            {
                "days": {"total": len(days), "built": len(built), "tobuild": to_build},
                "seconds": in_seconds(remaining).to_json() if remaining else None,
                "bytes": size.to_json() if size else None,
            }
        )

    async def _known(self, dataset: str, resources: Sequence[str], days: DayRange, today: date) -> list[list[KnownDay]]:
        requests, moving = await asyncio.gather(
            find_asked_days(self._database, dataset, resources, days),
            find_moving_resources(self._database, dataset, resources, LISTED_FOR),
        )
        built = await asyncio.gather(
            *(self._records.find(dataset, resource, days, moving=resource in moving) for resource in resources)
        )
        return [
            [known_day(day, of_resource.get(day), requests.get((resource, day)), today=today) for day in days]
            for resource, of_resource in zip(resources, built, strict=True)
        ]


def _range(asked: DaysBody) -> tuple[DayRange, date]:
    if not all(part.strip(".") for part in (asked.dataset_id, asked.resource_id, *asked.resource_ids)):
        raise ExhaustError(ErrorCode.INVALID_DATA_ERROR, "dataset and resource must not be dots alone")
    first, last = parse_day(asked.from_date, "fromdate"), parse_day(asked.to_date, "todate")
    if not 1 <= (last - first).days + 1 <= MAX_LOOKED_AT_DAYS:
        raise ExhaustError(ErrorCode.INVALID_DATE, f"ask for 1 to {MAX_LOOKED_AT_DAYS} days")
    return DayRange(first, last), parse_day(asked.today, "today")
