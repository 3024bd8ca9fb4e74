"""The run of a process: its loops, its signals, its drain and its exit code."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import structlog
import uvloop
from pydantic import ValidationError
from pydantic_settings import SettingsError

from exhaust.errors import ConfigurationError, ExhaustError
from exhaust.process.failpoints import VARIABLE, arm_failpoints
from exhaust.process.periodic import wait_for_event
from exhaust.process.watchdog import start_watchdog
from exhaust.violations import settings_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from exhaust.process.health import Health

USAGE_EXIT_CODE: Final = 2

log = structlog.get_logger(__name__)


async def run_until_stopped(
    health: Health, *loops: Coroutine[None, None, None], drain_delay: timedelta = timedelta(0)
) -> None:
    """Run the loops of a process until SIGTERM or SIGINT, and wait until they have drained.

    Args:
        health: its `draining` is set by a signal, its `stop` after the drain delay or by a second signal.
        loops: each returns soon after `health.stop` is set. One that raises cancels the others.
        drain_delay: for how long the process is not ready and goes on serving, so that whoever sends it calls learns
            of it before they are refused.

    Raises:
        ConfigurationError: raised by a loop.
        ExceptionGroup: of any other errors of the loops.
    """
    event_loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        event_loop.add_signal_handler(number, _on_signal, health)
    start_watchdog(health)
    log.info("process.started")
    try:
        async with asyncio.TaskGroup() as group:
            for loop in loops:
                group.create_task(loop)
            heartbeat = health.heartbeat("event loop")
            await wait_for_event(health.draining, health.stop, heartbeat=heartbeat)
            health.draining.set()
            log.info("process.draining")
            await wait_for_event(health.stop, heartbeat=heartbeat, limit=drain_delay)
            health.stop.set()
    except* ConfigurationError as refused:
        raise refused.exceptions[0] from None
    finally:
        health.stop.set()  # for the watchdog
    log.info("process.stopped")


def _on_signal(health: Health) -> None:
    if health.draining.is_set():
        health.stop.set()  # told twice: now
    health.draining.set()


def run_process(serve: Callable[[], Coroutine[None, None, None]]) -> None:
    """Run the async main of a process on uvloop.

    When it cannot start it exits with a sentence: with code 2 for wrong settings, with 1 for a server that is away.
    """
    try:
        arm_failpoints(os.environ.get(VARIABLE, ""))
        uvloop.run(serve())
    except (ValidationError, SettingsError) as error:
        sys.stderr.writelines(f"{sentence}\n" for sentence in settings_errors(error))
        sys.exit(USAGE_EXIT_CODE)
    except ConfigurationError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(USAGE_EXIT_CODE)
    except ExhaustError as error:
        sys.stderr.write(f"{error.message}\n")
        sys.exit(1)
