"""The watchdog: it ends a process whose loops have stalled, so that a supervisor can start another."""

from __future__ import annotations

import os
import sys
import threading
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import structlog

if TYPE_CHECKING:
    from exhaust.process.health import Health

STALL_EXIT_CODE: Final = 70
WATCH_INTERVAL: Final = timedelta(seconds=1)

log = structlog.get_logger(__name__)


def start_watchdog(health: Health) -> None:
    """Start a thread that ends the process once a loop has stalled. A thread runs even when the event loop hangs."""

    def watch() -> None:
        while not health.stop.is_set():
            time.sleep(WATCH_INTERVAL.total_seconds())
            if stalled := health.stalled():
                log.critical("process.stalled", loops=stalled)
                sys.stdout.flush()
                os._exit(STALL_EXIT_CODE)

    threading.Thread(target=watch, name="watchdog", daemon=True).start()
