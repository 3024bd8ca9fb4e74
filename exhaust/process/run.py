"""Running a process: its loops together, signals, a drain, and exit codes that say what went wrong."""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import TYPE_CHECKING, Final

import structlog
import uvloop
from pydantic import ValidationError
from pydantic_settings import SettingsError

from exhaust.errors import ConfigurationError, ExhaustError
from exhaust.process.periodic import wait_for_event
from exhaust.process.watchdog import start_watchdog
from exhaust.violations import settings_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from exhaust.process.health import Health

USAGE_EXIT_CODE: Final = 2

log = structlog.get_logger(__name__)


async def run_until_stopped(health: Health, *loops: Coroutine[None, None, None]) -> None:
    """Run a process's loops together until they end after a stop; one that fails ends them all.

    Args:
        health: its `stop` is set by SIGTERM and SIGINT.
        loops: each returns soon after `health.stop` is set.
    """
    event_loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        event_loop.add_signal_handler(number, health.stop.set)
    start_watchdog(health)
    log.info("process.started")
    async with asyncio.TaskGroup() as group:
        for loop in loops:
            group.create_task(loop)
        await wait_for_event(health.stop, heartbeat=health.heartbeat("event loop"))
        log.info("process.draining")
    log.info("process.stopped")


def run_process(serve: Callable[[], Coroutine[None, None, None]]) -> None:
    """Run a process's async main on uvloop.

    Wrong settings end it with a plain sentence and exit code 2, a server that is away at the start with 1.
    """
    try:
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
