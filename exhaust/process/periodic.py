"""Waiting, and work that is repeated. A loop sends heartbeats while it waits, so that a long wait is no stall."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import structlog

from exhaust.errors import ExhaustError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection

    from exhaust.process.health import Health, Heartbeat

BEAT_INTERVAL: Final = timedelta(seconds=0.5)  # far below any stall limit

log = structlog.get_logger(__name__)


async def run_periodically(
    health: Health,
    name: str,
    work: Callable[[], Awaitable[bool | None]],
    *,
    interval: timedelta,
    wake: asyncio.Event | None = None,
) -> None:
    """Repeat a piece of work until the process stops.

    A turn that fails because a server is away (ExhaustError) is logged as `<name>.waiting`. A turn that takes half of
    the stall limit is cancelled and logged likewise. Any other error is logged as `<name>.failed`, with its traceback.
    After each of them the loop goes on: what one turn met must not stop all that other turns do.

    Args:
        health: gives the stop, the stall limit and the heartbeat.
        name: of the loop, for its heartbeat and its log.
        work: does one turn. It must be safe to repeat after it was cancelled. It returns False when it could not do all
            that it had to, and has said so itself; then the turn is no success.
        interval: between the end of a turn and the start of the next.
        wake: starts the next turn early. It is cleared before each turn; `work` may set it to be repeated at once.
    """
    heartbeat = health.heartbeat(name)
    health.note_success(name, at=0)
    events = (health.stop,) if wake is None else (health.stop, wake)
    limit = health.stall_limit / 2
    waiting, failed = f"{name}.waiting", f"{name}.failed"
    while not health.stop.is_set():
        heartbeat()
        if wake is not None:
            wake.clear()
        try:
            async with asyncio.timeout(limit.total_seconds()) as turn:
                done = await work()
            if done is not False:
                health.note_success(name)
        except ExhaustError as error:
            health.count_retry(error.dependency)
            log.warning(waiting, error=error.message)
        except TimeoutError:
            if not turn.expired():
                raise
            log.warning(waiting, error=f"a turn took longer than {limit.total_seconds():.0f} s")
        except Exception:
            log.exception(failed)
        await wait_for_event(*events, heartbeat=heartbeat, limit=interval)


async def wait_for_event(*events: asyncio.Event, heartbeat: Heartbeat, limit: timedelta | None = None) -> None:
    """Wait until one of the events is set or the limit has passed, with heartbeats meanwhile."""
    waiting = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await wait_for_first(waiting, heartbeat=heartbeat, limit=limit)
    finally:
        for task in waiting:
            task.cancel()


async def wait_for_first(
    futures: Collection[asyncio.Future[Any]], *, heartbeat: Heartbeat, limit: timedelta | None = None
) -> None:
    """Wait until one of the futures is done or the limit has passed, with heartbeats meanwhile. Cancel none of them."""
    deadline = None if limit is None else time.monotonic() + limit.total_seconds()
    while True:
        heartbeat()
        left = BEAT_INTERVAL.total_seconds()
        if deadline is not None:
            left = min(left, deadline - time.monotonic())
        done, _ = await asyncio.wait(futures, timeout=max(left, 0), return_when=asyncio.FIRST_COMPLETED)
        if done or (deadline is not None and time.monotonic() >= deadline):
            return
