"""Places that are given by turns: whoever wants least gets the next one that is free.

Days of one resource may fill a queue; a day of another one does not wait for them all. A place goes to the resource of
which the fewest archives are wanted, and of equal ones to the earliest. Who has waited for PATIENCE goes first.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Mapping

PATIENCE: Final = timedelta(seconds=30)


@dataclass(eq=False, slots=True)
class _Turn:
    """A turn that waits for its place, or has it.

    Attributes:
        resources: for whom it is; they may become more while it waits.
        granted: done once it has a place.
    """

    resources: Callable[[], Collection[str]]
    since: float
    granted: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Turns:
    """A number of places, and the turns that have one or wait."""

    def __init__(
        self,
        places: int,
        demand: Mapping[str, int],
        *,
        of_one: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare.

        Args:
            places: turns that may run at once.
            demand: how many archives are wanted at present, by resource.
            of_one: turns of one resource that may run at once; all places when left out.
            clock: monotonic seconds.
        """
        self._places = places
        self._demand = demand
        self._of_one = of_one or places
        self._clock = clock
        self._running: list[_Turn] = []
        self._waiting: list[_Turn] = []  # in the order in which they came

    @asynccontextmanager
    async def place(self, resources: Callable[[], Collection[str]]) -> AsyncIterator[None]:
        """Wait for a place, and hold it until the block ends.

        Args:
            resources: returns for whom it is; asked again and again while it waits.
        """
        turn = _Turn(resources, self._clock())
        self._waiting.append(turn)
        self._grant()
        try:
            await turn.granted
            yield
        finally:
            (self._running if turn in self._running else self._waiting).remove(turn)
            self._grant()

    def _grant(self) -> None:
        """Give the free places to those whose turn it is."""
        while len(self._running) < self._places and (turn := self._next()):
            self._waiting.remove(turn)
            self._running.append(turn)
            if not turn.granted.done():  # else it was cancelled, and gives its place back at once
                turn.granted.set_result(None)

    def _next(self) -> _Turn | None:
        running = Counter(resource for turn in self._running for resource in turn.resources())
        allowed = [turn for turn in self._waiting if _least(running, turn) < self._of_one]
        if not allowed:
            return None
        if allowed[0].since <= self._clock() - PATIENCE.total_seconds():
            return allowed[0]
        return min(allowed, key=lambda turn: _least(self._demand, turn))


def _least(counts: Mapping[str, int], turn: _Turn) -> int:
    return min((counts.get(resource, 0) for resource in turn.resources()), default=0)
