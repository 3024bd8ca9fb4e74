"""Telling a poll that waits for a rebalance, or for a Kafka that is away, from one that hangs."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import structlog

from exhaust.kafka.connection import DRIVER_ERRORS
from exhaust.process.periodic import BEAT_INTERVAL, wait_for_first

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from exhaust.process.health import Heartbeat

PING_TIMEOUT: Final = timedelta(seconds=5)

log = structlog.get_logger(__name__)


class PollWatch:
    """Waits for polls, and for joining a group, with heartbeats as long as there is a good reason to wait.

    A poll that lasts longer than any rebalance, while Kafka answers, hangs: the heartbeats end, so that the watchdog
    of the process ends it.
    """

    def __init__(self, limit: timedelta, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit.total_seconds()
        self._clock = clock
        self._since = 0.0

    def restart(self) -> None:
        """Count from now on: the poll begins, or the group has come a step further."""
        self._since = self._clock()

    async def wait(
        self,
        polling: asyncio.Future[Any],
        ping: Callable[[], Awaitable[None]],
        stop: asyncio.Event,
        heartbeat: Heartbeat,
    ) -> None:
        """Wait until a poll is done or the stop is set.

        Args:
            polling: the poll.
            ping: asks Kafka for anything, and raises what the driver raises when it does not answer.
            stop: ends the wait.
            heartbeat: of the loop that polls.
        """
        self.restart()
        hangs = False
        while not polling.done() and not stop.is_set():
            if hangs:
                await asyncio.wait({polling}, timeout=BEAT_INTERVAL.total_seconds())
                continue
            await wait_for_first({polling}, heartbeat=heartbeat, limit=BEAT_INTERVAL)
            if not polling.done() and self._clock() - self._since >= self._limit:
                hangs = await _answers(ping)
                log.error("kafka.poll_hangs" if hangs else "kafka.poll_waits", seconds=self._limit)
                self.restart()


async def _answers(ping: Callable[[], Awaitable[None]]) -> bool:
    try:
        async with asyncio.timeout(PING_TIMEOUT.total_seconds()):
            await ping()
    except DRIVER_ERRORS:
        return False
    return True
