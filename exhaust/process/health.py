"""What a process says of itself: its loops turn, its dependencies answer, it is not draining."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Protocol

from prometheus_client import CollectorRegistry

from exhaust.errors import ExhaustError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

STALL_LIMIT: Final = timedelta(seconds=120)  # twice the longest rebalance
READY_TIMEOUT: Final = timedelta(seconds=5)


class Heartbeat(Protocol):
    """Told at every turn of a loop that it still turns."""

    def __call__(self) -> None:
        """One more turn."""


@dataclass(slots=True)
class Health:
    """What the process says of itself.

    Attributes:
        checks: by name, calls that raise ExhaustError while a dependency is away.
        stop: set by SIGTERM or SIGINT; from then on the process is not ready.
        stall_limit: for how long a loop may go without a beat before the watchdog ends the process.
    """

    checks: dict[str, Callable[[], Awaitable[None]]] = field(default_factory=dict)
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    stall_limit: timedelta = STALL_LIMIT
    _beats: dict[str, float] = field(default_factory=dict)

    def heartbeat(self, loop: str) -> Heartbeat:
        """A call that each turn of the named loop makes; a loop that stops making it ends the process."""

        def turned() -> None:
            self._beats[loop] = time.monotonic()

        turned()
        return turned

    def stalled(self) -> list[str]:
        """Names of the loops that have not turned for the stall limit."""
        oldest = time.monotonic() - self.stall_limit.total_seconds()
        return [loop for loop, at in list(self._beats.items()) if at < oldest]

    async def unready(self) -> dict[str, str]:
        """What keeps the process from being ready, by name; empty when it is ready."""
        if self.stop.is_set():
            return {"process": "draining"}
        problems = {}
        for name, check in self.checks.items():
            try:
                await asyncio.wait_for(check(), READY_TIMEOUT.total_seconds())
            except (ExhaustError, TimeoutError) as error:
                problems[name] = str(error) or "no answer in time"
        return problems
