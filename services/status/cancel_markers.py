"""The loop that tells the aggregators of cancelled attempts, by an object for each that they look for."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import structlog

from exhaust.domain.object_keys import cancelled_key
from exhaust.postgres.cancel_markers import next_markers, remove_markers
from exhaust.process.failpoints import failpoint
from exhaust.process.periodic import run_periodically

if TYPE_CHECKING:
    from collections.abc import Callable

    from exhaust.postgres.cancel_markers import CancelledAttempt
    from exhaust.postgres.database import Database
    from exhaust.postgres.request_progress import EndedRequest
    from exhaust.process.health import Health
    from exhaust.s3.store import ObjectStore

INTERVAL: Final = timedelta(seconds=1)  # also for what a command has cancelled, or another replica
BATCH: Final = 32  # as many as the store's client has connections
DEADLINE: Final = timedelta(seconds=10)  # of a batch

log = structlog.get_logger(__name__)


class CancelMarkers:
    """Writes the markers of cancelled attempts. Several replicas may write one; only one removes its row."""

    def __init__(
        self,
        database: Database,
        objects: ObjectStore,
        bucket: str,
        on_ended: Callable[[EndedRequest | None], None] = lambda _: None,
    ) -> None:
        """Prepare.

        Args:
            database: with the status service's role.
            objects: the store.
            bucket: of exhaust data.
            on_ended: called with the end of each cancelled request, whoever cancelled it, once its marker is written.
        """
        self._on_ended = on_ended
        self._database = database
        self._objects = objects
        self._bucket = bucket
        self._wake = asyncio.Event()
        self._store_is_away = False

    def wake(self) -> None:
        """Write soon, because an attempt was cancelled."""
        self._wake.set()

    async def run(self, health: Health) -> None:
        """Write until the process stops. What is not written then waits for the next start."""
        await run_periodically(health, "cancel_markers", self.write, interval=INTERVAL, wake=self._wake)

    async def write(self) -> bool:
        """Write a batch of markers. While the store is away they wait, and the log says so once; return False then.

        Raises:
            ExhaustError: SERVICE_UNAVAILABLE when the database is away.
        """
        waiting = await next_markers(self._database, limit=BATCH)
        if not waiting:
            return True
        outcomes = await asyncio.gather(*map(self._write_one, waiting), return_exceptions=True)
        failures = [outcome for outcome in outcomes if outcome is not None]
        written = [attempt for attempt, failure in zip(waiting, outcomes, strict=True) if failure is None]
        failpoint("cancel.after_markers")
        if written:
            async with self._database.transaction() as connection:
                ends = await remove_markers(connection, written)
            for ended in ends:
                self._on_ended(ended)
        if len(written) == len(waiting) == BATCH:
            self._wake.set()  # more may wait
        if failures and not self._store_is_away:
            log.warning("cancel_markers.waiting", markers=len(failures), error=str(failures[0]))
        self._store_is_away = bool(failures)
        return not failures

    async def _write_one(self, attempt: CancelledAttempt) -> None:
        async with asyncio.timeout(DEADLINE.total_seconds()):
            await self._objects.put(self._bucket, cancelled_key(attempt.request_id, attempt.attempt), b"")
