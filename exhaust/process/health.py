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
READY_FOR: Final = timedelta(seconds=1)  # how old an answer of the dependencies may be


class Heartbeat(Protocol):
    """A call that a loop makes at every turn, so that the watchdog knows it is alive."""

    def __call__(self) -> None:
        """Note one turn."""


@dataclass(slots=True)
class Health:
    """The health of one process, shared by its loops and its listener.

    Attributes:
        checks: by the name of a dependency, a call that raises ExhaustError while it is away.
        draining: set by the first SIGTERM or SIGINT; from then on the process is not ready, and still does its work.
        stop: set at the end of the drain delay, or by a second signal; from then on the loops end.
        registry: of the metrics that the process publishes.
        clock: monotonic seconds.
        stall_limit: how long a loop may go without a heartbeat before the watchdog ends the process.
    """

    checks: dict[str, Callable[[], Awaitable[None]]] = field(default_factory=dict)
    draining: asyncio.Event = field(default_factory=asyncio.Event)
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    stall_limit: timedelta = STALL_LIMIT
    clock: Callable[[], float] = time.monotonic
    _beats: dict[str, float] = field(default_factory=dict)
    _asked_at: float = 0.0
    _asking: asyncio.Task[dict[str, str]] | None = None

    def heartbeat(self, loop: str) -> Heartbeat:
        """Return the heartbeat of a loop, which has to be called from now on, at every turn."""

        def beat() -> None:
            self._beats[loop] = self.clock()

        beat()
        return beat

    def stalled(self) -> list[str]:
        """Return the names of the loops without a heartbeat for longer than the stall limit."""
        oldest = self.clock() - self.stall_limit.total_seconds()
        return [loop for loop, at in list(self._beats.items()) if at < oldest]

    async def unready(self) -> dict[str, str]:
        """Return the problems that keep the process from being ready, by dependency; empty when it is ready.

        However many ask, the dependencies are asked once in READY_FOR.
        """
        if self.draining.is_set() or self.stop.is_set():
            return {"process": "draining"}
        now = self.clock()
        if self._asking is None or (self._asking.done() and now - self._asked_at >= READY_FOR.total_seconds()):
            self._asked_at = now
            self._asking = asyncio.create_task(self._ask_dependencies())
        return dict(await asyncio.shield(self._asking))  # who gives up cancels nobody else's answer

    async def _ask_dependencies(self) -> dict[str, str]:
        problems = {}
        for name, check in self.checks.items():
            try:
                await asyncio.wait_for(check(), READY_TIMEOUT.total_seconds())
            except (ExhaustError, TimeoutError) as error:
                problems[name] = str(error) or "no answer in time"
        return problems
