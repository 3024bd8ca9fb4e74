"""The handlers of calls about the days of a resource, for callers whom the gateway has authorized for it."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

from exhaust.domain.days import MAX_LOOKED_AT_DAYS, DayRange, parse_day
from exhaust.errors import ErrorCode, ExhaustError
from exhaust.http.endpoint import Answer
from exhaust.postgres.asked_days import find_asked_days, find_durations
from services.status.day_states import KnownDay, known_day
from services.status.estimates import estimated_bytes, estimated_seconds

if TYPE_CHECKING:
    from exhaust.http.endpoint import Call
    from exhaust.postgres.database import Database
    from schemas.operations import DaysBody
    from services.status.day_records import DayRecords

DEADLINE: Final = timedelta(seconds=10)
SAMPLE_DAYS: Final = MAX_LOOKED_AT_DAYS  # whose sizes tell how large a day is that is not built


class DayCalls:
    """Answers what is known of days, from summaries and requests; it looks at no raw telemetry."""

    def __init__(self, database: Database, records: DayRecords) -> None:
        self._database = database
        self._records = records

    async def days(self, call: Call[DaysBody]) -> Answer:
        """Answer with each day of a range."""
        days, today = _range(call.body)
        async with asyncio.timeout(DEADLINE.total_seconds()):
            known = await self._known(call.body, days, today)
        return Answer({"days": [day.to_json() for day in known]})

    async def estimate(self, call: Call[DaysBody]) -> Answer:
        """Answer how long a request would take, and how large its download would be."""
        days, today = _range(call.body)
        looked_at = DayRange(min(days.first, days.last - timedelta(days=SAMPLE_DAYS - 1)), days.last)
        async with asyncio.timeout(DEADLINE.total_seconds()):
            known, durations = await asyncio.gather(
                self._known(call.body, looked_at, today), find_durations(self._database, call.body.dataset_id)
            )
        samples = [day.built.record for day in known if day.built]
        built = [day.built.record for day in known if day.built and day.day >= days.first]
        to_build = len(days) - len(built)
        seconds = estimated_seconds(durations, len(days), to_build)
        size = None if call.body.tagged else estimated_bytes(built, to_build, samples)
        return Answer(
            {
                "days": {"total": len(days), "built": len(built), "tobuild": to_build},
                "seconds": seconds.to_json() if seconds else None,
                "bytes": size.to_json() if size else None,
            }
        )

    async def _known(self, asked: DaysBody, days: DayRange, today: date) -> list[KnownDay]:
        built, requests = await asyncio.gather(
            self._records.find(asked.dataset_id, asked.resource_id, days),
            find_asked_days(self._database, asked.dataset_id, asked.resource_id, days),
        )
        return [known_day(day, built.get(day), requests.get(day), today=today) for day in days]


def _range(asked: DaysBody) -> tuple[DayRange, date]:
    if not asked.dataset_id.strip(".") or not asked.resource_id.strip("."):
        raise ExhaustError(ErrorCode.INVALID_DATA_ERROR, "dataset and resource must not be dots alone")
    first, last = parse_day(asked.from_date, "fromdate"), parse_day(asked.to_date, "todate")
    if not 1 <= (last - first).days + 1 <= MAX_LOOKED_AT_DAYS:
        raise ExhaustError(ErrorCode.INVALID_DATE, f"ask for 1 to {MAX_LOOKED_AT_DAYS} days")
    return DayRange(first, last), parse_day(asked.today, "today")
