"""The loop that looks at all stages, and the latest look, which pages and metrics show."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import structlog

from exhaust.errors import ExhaustError
from exhaust.lag.assessment import Assessment, assess
from exhaust.postgres.database import TABLES_DIFFER
from exhaust.process.periodic import run_periodically

if TYPE_CHECKING:
    from exhaust.lag.sampler import Look, Sampler
    from exhaust.lag.verdict import Targets, Word
    from exhaust.process.health import Health

log = structlog.get_logger(__name__)


class Sampling:
    """Looks at an interval, writes the history when it is this console's turn, and logs each change of the verdict.

    Attributes:
        wrote: set each time that the history was written.
    """

    def __init__(self, sampler: Sampler, targets: Targets) -> None:
        self._sampler = sampler
        self._targets = targets
        self._latest: Look | None = None
        self._word: Word | None = None
        self.wrote = asyncio.Event()

    async def run(self, health: Health, interval: timedelta) -> None:
        """Look until the process stops."""
        await run_periodically(health, "sampler", self.look, interval=interval)

    async def look(self) -> None:
        """Look once, and record it."""
        self._latest = await self._sampler.sample()
        verdict = (await self.assessment()).worst
        if verdict.word is not self._word:
            log.info("lag.verdict", word=verdict.word.value, stage=verdict.stage.value, why=verdict.why or None)
            self._word = verdict.word
        try:
            if await self._sampler.record(self._latest):
                self.wrote.set()
        except (ExhaustError, TimeoutError, *TABLES_DIFFER) as error:
            log.warning("lag.not_recorded", error=type(error).__name__)

    def latest(self) -> Look | None:
        """Return the latest look; None before the first."""
        return self._latest

    async def assessment(self) -> Assessment:
        """Return the judgement of the latest look, as of now; before the first, look."""
        if self._latest is None:
            self._latest = await self._sampler.sample()
        return assess(self._latest, self._sampler, self._targets, datetime.now(UTC))
