"""The health of a process: running loops, answering dependencies, no drain."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from datetime import timedelta
from importlib.metadata import version
from platform import python_version
from typing import TYPE_CHECKING, Final, Protocol

from exhaust.errors import ExhaustError
from exhaust.metrics.catalogue import BUILD_INFO, LAST_SUCCESS, READY, RETRIES
from exhaust.metrics.registry import MetricRegistry

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from exhaust.errors import Dependency

STALL_LIMIT: Final = timedelta(seconds=120)  # twice the longest rebalance
READY_TIMEOUT: Final = timedelta(seconds=5)
READINESS_WITHIN: Final = timedelta(seconds=2)  # of a scrape, which must end in time also while a server is away
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
    registry: MetricRegistry = field(default_factory=MetricRegistry)
    stall_limit: timedelta = STALL_LIMIT
    clock: Callable[[], float] = time.monotonic
    _beats: dict[str, float] = field(default_factory=dict)
    _asked_at: float = 0.0
    _asking: asyncio.Task[dict[str, str]] | None = None

    def __post_init__(self) -> None:
        """Make the metrics that every process has."""
        self.registry.gauge(READY)
        self.registry.counter(RETRIES)
        self.registry.gauge(BUILD_INFO).labels(version("telemetry-exhaust"), python_version()).set(1)
        self.registry.collect_process()

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

    def note_success(self, what: str, at: float | None = None) -> None:
        """Note that a loop has done its work; at a time of the wall clock, now by default."""
        self.registry.gauge(LAST_SUCCESS).labels(what).set(time.time() if at is None else at)

    def count_retry(self, dependency: Dependency | None) -> None:
        """Count work that is tried again; of nobody's absence when no server is named."""
        if dependency is not None:
            self.registry.counter(RETRIES).labels(dependency.name.lower()).inc()

    async def note_readiness(self) -> None:
        """Export if the process is ready; one whose servers do not answer within READINESS_WITHIN is not."""
        try:
            problems = await asyncio.wait_for(self.unready(), READINESS_WITHIN.total_seconds())
        except TimeoutError:
            problems = {"process": "no answer in time"}
        self.registry.gauge(READY).set(not problems)

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
