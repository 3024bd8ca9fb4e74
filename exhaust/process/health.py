"""The health of a process: running loops, answering dependencies, no drain."""

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
    """A call that a loop makes at every turn, so that the watchdog knows it is alive."""

    def __call__(self) -> None:
        """Note one turn."""


@dataclass(slots=True)
class Health:
    """The health of one process, shared by its loops and its listener.

    Attributes:
        checks: by the name of a dependency, a call that raises ExhaustError while it is away.
        stop: set by SIGTERM or SIGINT; from then on the process is not ready.
        registry: of the metrics that the process publishes.
        stall_limit: how long a loop may go without a heartbeat before the watchdog ends the process.
    """

    checks: dict[str, Callable[[], Awaitable[None]]] = field(default_factory=dict)
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    stall_limit: timedelta = STALL_LIMIT
    _beats: dict[str, float] = field(default_factory=dict)

    def heartbeat(self, loop: str) -> Heartbeat:
        """Return the heartbeat of a loop, which has to be called from now on, at every turn."""

        def beat() -> None:
            self._beats[loop] = time.monotonic()

        beat()
        return beat

    def stalled(self) -> list[str]:
        """Return the names of the loops without a heartbeat for longer than the stall limit."""
        oldest = time.monotonic() - self.stall_limit.total_seconds()
        return [loop for loop, at in list(self._beats.items()) if at < oldest]

    async def unready(self) -> dict[str, str]:
        """Return the problems that keep the process from being ready, by dependency; empty when it is ready."""
        if self.stop.is_set():
            return {"process": "draining"}
        problems = {}
        for name, check in self.checks.items():
            try:
                await asyncio.wait_for(check(), READY_TIMEOUT.total_seconds())
            except (ExhaustError, TimeoutError) as error:
                problems[name] = str(error) or "no answer in time"
        return problems
