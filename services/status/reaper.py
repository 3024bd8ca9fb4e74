"""The reaper: every accepted request ends, even when a worker and its messages are gone; old usage of keys goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from exhaust.metrics.catalogue import REQUESTS_REAPED
from exhaust.postgres.key_usage import forget_old_usage
from exhaust.process.periodic import run_periodically
from services.status.request_states import Reaped

if TYPE_CHECKING:
    from exhaust.metrics.registry import MetricRegistry
    from exhaust.postgres.database import Database
    from exhaust.process.health import Health
    from services.status.away_time import AwayTime
    from services.status.request_states import RequestStates
    from services.status.settings import StatusSettings

log = structlog.get_logger(__name__)


class Reaper:
    """Retries or fails requests without progress, and forgets old usage of keys, at an interval."""

    def __init__(
        self,
        states: RequestStates,
        database: Database,
        settings: StatusSettings,
        registry: MetricRegistry,
        away_time: AwayTime,
    ) -> None:
        self._away_time = away_time
        self._states = states
        self._database = database
        self._settings = settings
        self._reaped = registry.counter(REQUESTS_REAPED)

    async def run(self, health: Health) -> None:
        """Reap until the process stops."""
        await run_periodically(health, "reaper", self._reap, interval=self._settings.reap_interval)

    async def _reap(self) -> None:
        if await self._away_time.is_over():
            await self._reap_requests()
        await forget_old_usage(self._database)

    async def _reap_requests(self) -> None:
        reaped = await self._states.reap(
            no_progress_after=self._settings.no_progress_after, max_attempts=self._settings.max_attempts
        )
        self._reaped.labels("again").inc(reaped.again)
        self._reaped.labels("failed").inc(reaped.failed)
        self._reaped.labels("parked").inc(reaped.parked)
        if reaped != Reaped(0, 0):
            log.warning("reaper.reaped", again=reaped.again, failed=reaped.failed, parked=reaped.parked)
