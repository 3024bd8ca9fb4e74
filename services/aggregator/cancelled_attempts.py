"""Attempts that were cancelled: how the aggregator learns of them, and stops work on them.

The status service writes an object for each. The aggregator looks for it when the first work on an attempt begins,
beside that work, and then every INTERVAL while there is some. While the store does not answer, work goes on.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from exhaust.domain.object_keys import cancelled_key
from exhaust.errors import ExhaustError
from exhaust.process.periodic import run_periodically
from exhaust.s3.errors import ObjectMissingError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from uuid import UUID

    from exhaust.process.health import Health
    from exhaust.s3.store import ObjectStore

INTERVAL: Final = timedelta(seconds=2)
LOOK_TIMEOUT: Final = timedelta(seconds=2)


class AttemptCancelledError(Exception):
    """Nobody shall work on this attempt any more."""


@dataclass(eq=False, slots=True)
class AttemptInHand:
    """An attempt that this process works on.

    Attributes:
        works: how many pieces of work on it run.
        cancelled: set once its cancellation is known.
        first_look: ends when it was looked for a first time.
    """

    request_id: UUID
    attempt: int
    first_look: asyncio.Task[None] | None = None
    works: int = 0
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)

    async def check(self) -> None:
        """Wait for the first look.

        Raises:
            AttemptCancelledError: it was cancelled.
        """
        if self.first_look is not None:
            await asyncio.shield(self.first_look)
        if self.cancelled.is_set():
            raise AttemptCancelledError


class CancelledAttempts:
    """Stops work on attempts that were cancelled."""

    def __init__(self, objects: ObjectStore, bucket: str) -> None:
        self._objects = objects
        self._bucket = bucket
        self._in_hand: dict[tuple[UUID, int], AttemptInHand] = {}

    async def run(self, health: Health) -> None:
        """Look for the cancellation of the attempts in hand until the process stops."""
        await run_periodically(health, "cancelled_attempts", self.look_for_all, interval=INTERVAL)

    async def look_for_all(self) -> None:
        """Look once for the cancellation of each attempt in hand."""
        await asyncio.gather(*map(self._look_for, list(self._in_hand.values())))

    async def is_cancelled(self, request_id: UUID, attempt: int) -> bool:
        """Return True when an attempt was cancelled; False also while the store does not answer."""
        try:
            async with asyncio.timeout(LOOK_TIMEOUT.total_seconds()):
                await self._objects.head(self._bucket, cancelled_key(request_id, attempt))
        except (ObjectMissingError, ExhaustError, TimeoutError):
            return False
        return True

    async def stop_when_cancelled(
        self, request_id: UUID, attempt: int, work: Callable[[AttemptInHand], Awaitable[None]]
    ) -> None:
        """Do a piece of work on an attempt, and cancel it as soon as the attempt is known to be cancelled.

        Raises:
            AttemptCancelledError: it was cancelled before the work had ended. The work has ended now.
        """
        with self._working_on(request_id, attempt) as in_hand:
            working = asyncio.ensure_future(work(in_hand))
            cancelled = asyncio.ensure_future(in_hand.cancelled.wait())
            try:
                await asyncio.wait((working, cancelled), return_when=asyncio.FIRST_COMPLETED)
                if not working.done():
                    raise AttemptCancelledError
                working.result()
            finally:
                for task in (working, cancelled):
                    task.cancel()
                await asyncio.gather(working, cancelled, return_exceptions=True)

    @contextmanager
    def _working_on(self, request_id: UUID, attempt: int) -> Iterator[AttemptInHand]:
        key = (request_id, attempt)
        in_hand = self._in_hand.get(key)
        if in_hand is None:
            in_hand = self._in_hand[key] = AttemptInHand(request_id, attempt)
            in_hand.first_look = asyncio.create_task(self._look_for(in_hand))
        in_hand.works += 1
        try:
            yield in_hand
        finally:
            in_hand.works -= 1
            if not in_hand.works:
                del self._in_hand[key]
                if in_hand.first_look is not None:
                    in_hand.first_look.cancel()

    async def _look_for(self, in_hand: AttemptInHand) -> None:
        if await self.is_cancelled(in_hand.request_id, in_hand.attempt):
            in_hand.cancelled.set()
