"""The pruner: rows that nobody needs any more leave the database."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from exhaust.metrics.catalogue import ROWS_PRUNED
from exhaust.postgres.retention import BATCH, prune_batch
from exhaust.process.periodic import run_periodically

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    from exhaust.metrics.registry import MetricRegistry
    from exhaust.postgres.database import Database
    from exhaust.postgres.retention import Prunable
    from exhaust.process.health import Health

log = structlog.get_logger(__name__)


class Pruner:
    """Removes old rows at an interval, a batch of each kind in turn. Of several processes one prunes at a time."""

    def __init__(self, database: Database, keep: Mapping[Prunable, timedelta], registry: MetricRegistry) -> None:
        self._database = database
        self._keep = keep
        self._wake = asyncio.Event()
        self._pruned = registry.counter(ROWS_PRUNED)

    async def run(self, health: Health, interval: timedelta) -> None:
        """Prune until the process stops."""
        await run_periodically(health, "pruner", self.prune, interval=interval, wake=self._wake)

    async def prune(self) -> None:
        """Remove a batch of each kind.

        Raises:
            ExhaustError: SERVICE_UNAVAILABLE.
        """
        removed = {what: await prune_batch(self._database, what, keep) for what, keep in self._keep.items()}
        for what, rows in removed.items():
            self._pruned.labels(what.value).inc(rows)
        if any(removed.values()):
            log.info("pruner.pruned", **{what.name.lower(): rows for what, rows in removed.items()})
        if BATCH in removed.values():
            self._wake.set()  # there are more
