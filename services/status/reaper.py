"""The reaper: every accepted request ends, even when a worker and its messages are gone."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import structlog
from prometheus_client import Counter

from exhaust.errors import ExhaustError

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from exhaust.process.health import Beat
    from services.status.request_states import RequestStates
    from services.status.settings import StatusSettings

log = structlog.get_logger(__name__)


class Reaper:
    """Looks for requests without progress, again and again."""

    def __init__(self, states: RequestStates, settings: StatusSettings, registry: CollectorRegistry) -> None:
        self._states = states
        self._settings = settings
        self._reaped = Counter(
            "exhaust_requests_reaped", "Requests without progress, by what was done.", ["outcome"], registry=registry
        )

    async def run(self, stop: asyncio.Event, beat: Beat) -> None:
        """Reap until `stop` is set."""
        while not stop.is_set():
            beat()
            try:
                again, failed = await self._states.reap(
                    no_progress_after=self._settings.no_progress_after, max_attempts=self._settings.max_attempts
                )
            except ExhaustError as error:
                log.warning("reaper.waiting", error=error.message)
            else:
                self._reaped.labels("again").inc(again)
                self._reaped.labels("failed").inc(failed)
                if again or failed:
                    log.warning("reaper.reaped", again=again, failed=failed)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), self._settings.reap_interval.total_seconds())
