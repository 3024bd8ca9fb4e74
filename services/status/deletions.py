"""The loop that removes the objects of deleted requests from the store, and at last their rows."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import structlog

from exhaust.domain.object_keys import cancelled_key, request_prefix
from exhaust.errors import ExhaustError
from exhaust.postgres.deleted_requests import due_deletions, end_sweep
from exhaust.process.failpoints import failpoint
from exhaust.process.periodic import run_periodically

if TYPE_CHECKING:
    from exhaust.postgres.database import Database
    from exhaust.postgres.deleted_requests import DeletedRequest
    from exhaust.process.health import Health
    from exhaust.s3.store import ObjectStore

INTERVAL: Final = timedelta(seconds=5)
BATCH: Final = 16
DEADLINE: Final = timedelta(seconds=30)  # of one request; what is left then comes with the next round

log = structlog.get_logger(__name__)


class Deletions:
    """Removes what deleted requests have left. Several replicas may do the same at once, and each step may come twice.

    Day archives stay, since other requests share them.
    """

    def __init__(self, database: Database, objects: ObjectStore, bucket: str) -> None:
        self._database = database
        self._objects = objects
        self._bucket = bucket
        self._wake = asyncio.Event()
        self._store_is_away = False

    def wake(self) -> None:
        """Sweep soon, because a request was deleted."""
        self._wake.set()

    async def run(self, health: Health) -> None:
        """Sweep until the process stops. What is not removed then waits for the next start."""
        await run_periodically(health, "deletions", self.sweep, interval=INTERVAL, wake=self._wake)

    async def sweep(self) -> bool:
        """Remove the objects of a batch of requests. While the store is away they wait; return False then.

        Raises:
            ExhaustError: SERVICE_UNAVAILABLE when the database is away.
        """
        due = await due_deletions(self._database, limit=BATCH)
        for request in due:
            try:
                async with asyncio.timeout(DEADLINE.total_seconds()):
                    removed = await self._remove_objects(request)
            except (ExhaustError, TimeoutError) as error:
                if not self._store_is_away:
                    log.warning("deletions.waiting", requests=len(due), error=str(error))
                self._store_is_away = True
                return False
            failpoint("delete.after_objects")
            await end_sweep(self._database, request)
            log.info("request.swept", request_id=str(request.request_id), objects=removed, last=request.last)
        self._store_is_away = False
        if len(due) == BATCH:
            self._wake.set()  # more may wait
        return True

    async def _remove_objects(self, request: DeletedRequest) -> int:
        # What tells workers to stop stays until none can be at work.
        attempts = () if request.last else range(1, request.attempt + 1)
        kept = [cancelled_key(request.request_id, attempt) for attempt in attempts]
        return await self._objects.delete_prefix(self._bucket, request_prefix(request.request_id), keep=kept)
