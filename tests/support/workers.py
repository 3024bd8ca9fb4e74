"""Aggregators that a test starts and kills, in place of the one that the stack runs."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from deploy.local.readiness import http_request
from deploy.local.stack import read_stack, service_environment, start_stack
from exhaust.settings import TopicSettings
from schemas.events import TOPIC_DAYS, TOPIC_REQUESTS
from tests.support.s3_proxy import closed_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

_TIMEOUT_S: Final = 60.0
_OK: Final = 200
_PARTITIONS: Final = TopicSettings.model_fields["kafka_partitions"].default


@dataclass(frozen=True, slots=True)
class Worker:
    """A running aggregator."""

    process: asyncio.subprocess.Process
    port: int
    log: Path

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def counted(self, metric: str) -> float:
        """The value of a metric; 0 while it has none."""
        lines = http_request(self.port, "/metrics")[1].decode().splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{metric} "))

    def archives(self) -> int:
        """How many day archives it has written, by its log."""
        return sum(line["archives"] for line in self._told("day.scanned"))

    def days(self, *, reused: bool) -> set[tuple[str, str]]:
        """Request and day of all that it has built, or found built, by its log: once, however often a message came."""
        return {(line["request_id"], line["day"]) for line in self._told("day.finished") if line["reused"] is reused}

    def _told(self, event: str) -> list[dict[str, Any]]:
        lines = map(json.loads, self.log.read_text().splitlines())
        return [line for line in lines if line.get("event") == event]

    async def end(self, number: signal.Signals) -> None:
        """Send a signal that ends it, and wait until it has ended."""
        self.process.send_signal(number)
        await asyncio.wait_for(self.process.wait(), _TIMEOUT_S)


@dataclass(slots=True)
class Workers:
    """Starts workers of one stack."""

    folder: Path
    logs: Path
    running: list[Worker] = field(default_factory=list)

    async def start(self, session: str = "PT2S") -> Worker:
        """One more worker, ready.

        Args:
            session: how long Kafka waits for a word of it. By default so short that a killed one is missed soon.
        """
        port = closed_port()
        environment = service_environment(self.folder, "aggregator") | {
            "EXHAUST_PORT": str(port),
            "EXHAUST_KAFKA_SESSION_TIMEOUT": session,
            # Whatever killed ones left open is taken for abandoned.
            "EXHAUST_ABANDONED_AFTER": "PT0.5S",
        }
        path = self.logs / f"{port}.log"
        with path.open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "services.aggregator", env=environment, stdout=log, stderr=log
            )
        worker = Worker(process, port, path)
        self.running.append(worker)
        await _until(lambda: http_request(port, "/health/ready")[0] == _OK)
        return worker

    async def shared_out(self) -> None:
        """Waits until each partition of both topics is with one worker and each worker has some: nothing moves."""

        def shared() -> bool:
            have = [
                [worker.counted(f'exhaust_partitions{{topic="{topic}"}}') for worker in self.running]
                for topic in (TOPIC_REQUESTS, TOPIC_DAYS)
            ]
            return all(all(counts) and sum(counts) == _PARTITIONS for counts in have)

        await _until(shared)

    async def end(self, worker: Worker, number: signal.Signals = signal.SIGTERM) -> None:
        """End one."""
        self.running.remove(worker)
        await worker.end(number)


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(_TIMEOUT_S):
        for pause in itertools.repeat(0.02):
            if await asyncio.to_thread(condition):
                return
            await asyncio.sleep(pause)


@asynccontextmanager
async def own_workers(folder: Path, logs: Path) -> AsyncIterator[Workers]:
    """Workers of a stack, whose own aggregator rests while the block runs.

    Args:
        folder: the stack's.
        logs: where their logs go.
    """
    stack = read_stack(folder)
    port = int(stack.aggregator_internal.rpartition(":")[2])
    os.kill(stack.processes["aggregator"], signal.SIGTERM)
    await _until(lambda: http_request(port, "/health/live")[0] != _OK)
    workers = Workers(folder, logs)
    try:
        yield workers
    finally:
        for worker in workers.running:
            await worker.end(signal.SIGKILL)
        await asyncio.to_thread(start_stack, folder, stop_at_exit=True)
