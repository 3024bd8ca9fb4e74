"""Gates that hold work while a server is away."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from datetime import timedelta
from random import SystemRandom
from typing import TYPE_CHECKING, Final

import structlog

from exhaust.errors import ExhaustError
from exhaust.metrics.catalogue import DEPENDENCY_AWAY, RETRIES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from exhaust.errors import Dependency
    from exhaust.metrics.registry import MetricRegistry

FIRST_PAUSE: Final = timedelta(milliseconds=250)
LONGEST_PAUSE: Final = timedelta(seconds=4)
PING_TIMEOUT: Final = timedelta(seconds=10)

_random: Final = SystemRandom()

log = structlog.get_logger(__name__)


class DependencyGate:
    """A gate that is closed while a server does not answer. Whoever needs the server waits at it.

    It closes when somebody's work has failed and the server does not answer a ping either. While it is closed, one task
    pings the server for all; the first answer opens the gate.

    Attributes:
        count_retry: called for each try of work that failed because of the server, and is made again.
    """

    def __init__(self, dependency: Dependency, ping: Callable[[], Awaitable[None]]) -> None:
        """Prepare an open gate.

        Args:
            dependency: the server.
            ping: raises ExhaustError while it is away.
        """
        self.dependency = dependency
        self.count_retry: Callable[[], None] = lambda: None
        self._ping = ping
        self._open = asyncio.Event()
        self._open.set()
        self._asking: asyncio.Task[bool] | None = None
        self._probing: asyncio.Task[None] | None = None

    @property
    def is_open(self) -> bool:
        """True unless the server is known to be away."""
        return self._open.is_set()

    def closed(self) -> float:
        """Return 1 while the server is known to be away, else 0."""
        return float(not self.is_open)

    async def wait(self) -> None:
        """Return when the gate is open."""
        await self._open.wait()

    async def answers(self) -> bool:
        """Ask the server, once for all who call. When it does not answer, close the gate and return False."""
        if not self.is_open:
            return False
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask())
        return await asyncio.shield(self._asking)

    async def close(self) -> None:
        """Stop asking."""
        tasks = [task for task in (self._asking, self._probing) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _ask(self) -> bool:
        if await self._answered():
            return True
        log.warning("dependency.away", dependency=self.dependency)
        self._open.clear()
        self._probing = asyncio.create_task(self._probe())
        return False

    async def _answered(self) -> bool:
        try:
            async with asyncio.timeout(PING_TIMEOUT.total_seconds()):
                await self._ping()
        except (ExhaustError, TimeoutError):
            return False
        except Exception:
            log.exception("dependency.ping_failed", dependency=self.dependency)
            return False
        return True

    async def _probe(self) -> None:
        away_since = time.monotonic()
        pause = FIRST_PAUSE
        while True:
            # With jitter, so that all the processes of a deployment do not ask at the same time.
            await asyncio.sleep(pause.total_seconds() * _random.uniform(0.5, 1))
            if await self._answered():
                break
            pause = min(2 * pause, LONGEST_PAUSE)
        log.warning("dependency.back", dependency=self.dependency, seconds=round(time.monotonic() - away_since, 1))
        self._open.set()


@asynccontextmanager
async def open_gates(
    registry: MetricRegistry, pings: Mapping[Dependency, Callable[[], Awaitable[None]]]
) -> AsyncIterator[Mapping[Dependency, DependencyGate]]:
    """Make a gate for each server that a process needs, for the time of the block; publish which are closed."""
    gates = {dependency: DependencyGate(dependency, ping) for dependency, ping in pings.items()}
    for dependency, gate in gates.items():
        name = dependency.name.lower()
        registry.gauge(DEPENDENCY_AWAY, [(name,)]).labels(name).set_function(gate.closed)
        gate.count_retry = registry.counter(RETRIES).labels(name).inc
    try:
        yield gates
    finally:
        for gate in gates.values():
            await gate.close()
