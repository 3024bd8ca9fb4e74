"""The closing of days by the clock, of which webhooks are told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import structlog

from exhaust.domain.days import newest_closed_day
from exhaust.postgres.closed_days import close_days
from exhaust.process.periodic import run_periodically

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exhaust.postgres.database import Database
    from exhaust.process.health import Health
    from exhaust.settings import DaySettings

INTERVAL: Final = timedelta(seconds=30)

log = structlog.get_logger(__name__)


class DayCloser:
    """Closes the days of datasets once no more telemetry of them is expected."""

    def __init__(self, database: Database, datasets: Sequence[str], settings: DaySettings) -> None:
        self._database = database
        self._datasets = datasets
        self._settings = settings

    async def run(self, health: Health) -> None:
        """Close days until the process stops."""
        await run_periodically(health, "day-closer", self._close, interval=INTERVAL)

    async def _close(self) -> None:
        await self.close(datetime.now(UTC))

    async def close(self, now: datetime) -> None:
        """Close the days that are over for long enough at a time.

        Raises:
            ExhaustError: SERVICE_UNAVAILABLE.
        """
        newest = newest_closed_day(now, self._settings.day_zone, self._settings.day_closes_after)
        for dataset in self._datasets:
            if closed := await close_days(self._database, dataset, newest):
                log.info("day.closed", dataset=dataset, day=newest.isoformat(), days=closed)
