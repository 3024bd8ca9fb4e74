"""The time in which a server was away: it says nothing about the progress of a request."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import timedelta

    from exhaust.process.dependencies import DependencyGate


class AwayTime:
    """Keeps the reaper from work while a server is away that requests need, and for as long again afterwards."""

    def __init__(self, gates: Collection[DependencyGate], *, at_most: timedelta, clock: Callable[[], float]) -> None:
        """Prepare.

        Args:
            gates: of those servers.
            at_most: the longest time afterwards.
            clock: monotonic seconds.
        """
        self._gates = gates
        self._at_most = at_most.total_seconds()
        self._clock = clock
        self._away_since: float | None = None
        self._over_at = float("-inf")

    async def is_over(self) -> bool:
        """Ask the servers; return True when what has not moved since long stands still by itself."""
        answers = all(await asyncio.gather(*(gate.answers() for gate in self._gates)))
        now = self._clock()
        if not answers:
            if self._away_since is None:
                self._away_since = now
            return False
        if self._away_since is not None:
            self._over_at = now + min(now - self._away_since, self._at_most)
            self._away_since = None
        return now >= self._over_at
