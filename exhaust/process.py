"""What makes a program a well-behaved process: signals, health, metrics, a watchdog, a drain."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import threading
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final, cast

import structlog
import uvloop
from aiohttp import web
from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from pydantic import ValidationError
from pydantic_settings import SettingsError

from exhaust.connections import ConnectionLimits, Connections
from exhaust.errors import ConfigurationError, ExhaustError
from exhaust.http_protocol import EdgeProtocol, announcing
from exhaust.violations import wrong_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine

    from exhaust.kafka import Consumption

BACKLOG: Final = 4096  # connections that the kernel has made and nobody has taken yet; more have to knock again
STALL_LIMIT_S: Final = 120.0  # twice the longest rebalance
STALL_EXIT_CODE: Final = 70
USAGE_EXIT_CODE: Final = 2
READY_TIMEOUT_S: Final = 5.0

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Health:
    """What the process says of itself.

    Attributes:
        checks: by name, calls that raise ExhaustError while a dependency is away.
        stop: set by SIGTERM or SIGINT; from then on the process is not ready.
    """

    checks: dict[str, Callable[[], Awaitable[None]]] = field(default_factory=dict)
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    _beats: dict[str, float] = field(default_factory=dict)

    def beat(self, loop: str) -> Callable[[], None]:
        """A call that each turn of the named loop makes; a loop that stops making it ends the process."""

        def turned() -> None:
            self._beats[loop] = time.monotonic()

        turned()
        return turned

    def stalled(self) -> list[str]:
        """Names of the loops that have not turned for STALL_LIMIT_S."""
        now = time.monotonic()
        return [loop for loop, at in list(self._beats.items()) if now - at > STALL_LIMIT_S]

    async def unready(self) -> dict[str, str]:
        """What keeps the process from being ready, by name; empty when it is ready."""
        if self.stop.is_set():
            return {"process": "draining"}
        problems = {}
        for name, check in self.checks.items():
            try:
                await asyncio.wait_for(check(), READY_TIMEOUT_S)
            except (ExhaustError, TimeoutError) as error:
                problems[name] = str(error) or "no answer in time"
        return problems


def count_partitions(health: Health, *consumptions: Consumption) -> None:
    """Publish `exhaust_partitions{topic}`: how many partitions this process reads at the moment."""
    gauge = Gauge("exhaust_partitions", "Partitions that this process reads.", ["topic"], registry=health.registry)
    for consumption in consumptions:
        gauge.labels(consumption.topic).set_function(partial(getattr, consumption, "partitions"))


def health_routes(health: Health) -> list[web.RouteDef]:
    """GET /health/live (the loops turn) and /health/ready (dependencies answer, not draining): 200 or 503."""

    async def live(_request: web.Request) -> web.Response:
        stalled = health.stalled()
        return web.json_response({"stalled": stalled}, status=503 if stalled else 200)

    async def ready(_request: web.Request) -> web.Response:
        problems = await health.unready()
        return web.json_response({"ready": not problems, "problems": problems}, status=503 if problems else 200)

    return [web.get("/health/live", live), web.get("/health/ready", ready)]


def metrics_route(health: Health) -> web.RouteDef:
    """GET /metrics, in Prometheus' text format."""

    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(health.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return web.get("/metrics", metrics)


@asynccontextmanager
async def listening(
    app: web.Application, host: str, port: int, connections: Connections | None = None
) -> AsyncIterator[None]:
    """Serve an application until the block ends; requests in progress are then finished.

    Args:
        app: what is served.
        host: to listen at.
        port: to listen at.
        connections: where they are counted and bounded; the default is for callers of our own.
    """
    runner = web.AppRunner(app, shutdown_timeout=10)
    await runner.setup()
    server = cast("web.Server", runner.server)  # setup() has made it
    server.request_factory = announcing(server.request_factory)
    try:
        connected = partial(EdgeProtocol, server, connections or Connections(ConnectionLimits()))
        listener = await asyncio.get_running_loop().create_server(connected, host, port, backlog=BACKLOG)
        try:
            yield
        finally:
            listener.close()
    finally:
        await runner.cleanup()


async def run_until_stopped(health: Health, *loops: Coroutine[None, None, None]) -> None:
    """Run a process's loops together until they end after a stop; one that fails ends them all.

    Args:
        health: its `stop` is set by SIGTERM and SIGINT.
        loops: each returns soon after `health.stop` is set.
    """
    event_loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        event_loop.add_signal_handler(number, health.stop.set)
    _start_watchdog(health)
    log.info("process.started")
    async with asyncio.TaskGroup() as group:
        for loop in loops:
            group.create_task(loop)
        turned = health.beat("event loop")
        while not health.stop.is_set():
            turned()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(health.stop.wait(), 1.0)
        log.info("process.draining")
    log.info("process.stopped")


def _start_watchdog(health: Health) -> None:
    """A thread, so that it still runs when the event loop does not: a stalled process is worse than a dead one."""

    def watch() -> None:
        while not health.stop.is_set():
            time.sleep(1.0)
            if stalled := health.stalled():
                log.critical("process.stalled", loops=stalled)
                sys.stdout.flush()
                os._exit(STALL_EXIT_CODE)

    threading.Thread(target=watch, name="watchdog", daemon=True).start()


def run_process(serve: Callable[[], Coroutine[None, None, None]]) -> None:
    """Run a process's async main on uvloop.

    Wrong settings end it with a plain sentence and exit code 2, a server that is away at the start with 1.
    """
    try:
        uvloop.run(serve())
    except (ValidationError, SettingsError) as error:
        sys.stderr.writelines(f"{sentence}\n" for sentence in wrong_settings(error))
        sys.exit(USAGE_EXIT_CODE)
    except ConfigurationError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(USAGE_EXIT_CODE)
    except ExhaustError as error:
        sys.stderr.write(f"{error.message}\n")
        sys.exit(1)
