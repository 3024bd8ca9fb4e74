"""A Kafka that is killed or frozen leaves nothing behind in its clients, and few lines in the log."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import warnings
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from deploy.local.stack import start_stack
from exhaust.errors import ExhaustError
from exhaust.kafka.producer import Producer, open_producer
from exhaust.logs import RepeatFilter
from tests.integration.kafka.conftest import DRAIN, Handled, Scene

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

OUTAGE_S = 20.0
LIMIT_S = 60.0
MOST_LINES = 40
STOP_S = 20.0


class Lines(logging.Handler):
    """The lines of libraries that a process would write."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.addFilter(RepeatFilter())
        self.written: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.written.append(f"{record.name}: {record.getMessage()}")


@pytest.fixture
def lines() -> Iterator[Lines]:
    handler = Lines()
    logging.getLogger().addHandler(handler)
    yield handler
    logging.getLogger().removeHandler(handler)


def open_descriptors() -> set[str]:
    return {path.name for path in Path("/proc/self/fd").iterdir()}


@asynccontextmanager
async def nothing_left() -> AsyncIterator[None]:
    """Tasks and descriptors are as before at the end of the block, and nothing was left to the collector."""
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: told.append(context))
    gc.collect()
    tasks, descriptors = asyncio.all_tasks(), open_descriptors()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always", ResourceWarning)
        yield
        gc.collect()
        await asyncio.sleep(0)
        gc.collect()
    assert asyncio.all_tasks() - tasks == set()
    assert open_descriptors() - descriptors == set()
    assert told == []
    assert [str(warning.message) for warning in warned if "Kafka" in str(warning.message)] == []


@asynccontextmanager
async def outage(process: int, folder: Path, fault: signal.Signals) -> AsyncIterator[None]:
    """Kafka is killed or frozen while the block runs."""
    os.kill(process, fault)
    try:
        yield
    finally:
        if fault is signal.SIGSTOP:
            os.kill(process, signal.SIGCONT)
        else:
            await asyncio.to_thread(start_stack, folder, services=False, stop_at_exit=True)


async def send_for(producer: Producer, topic: str, seconds: float) -> int:
    """Send again and again; return how many sends failed."""
    failed = 0
    ends = asyncio.get_running_loop().time() + seconds
    while asyncio.get_running_loop().time() < ends:
        try:
            await producer.send_raw(topic, None, b"x" * 100_000, [])
        except ExhaustError:
            failed += 1
            await asyncio.sleep(0.1)
    return failed


either_fault = pytest.mark.parametrize("fault", [signal.SIGKILL, signal.SIGSTOP])


@either_fault
async def test_a_producer_leaves_nothing_behind(
    scene: Scene, kafka_process: int, servers_folder: Path, lines: Lines, fault: signal.Signals
) -> None:
    async with asyncio.timeout(LIMIT_S * 2), nothing_left():
        async with open_producer(scene.settings) as own:
            await own.send_raw(scene.topic, None, b"before", [])
            async with outage(kafka_process, servers_folder, fault):
                failed = await asyncio.gather(*(send_for(own, scene.topic, OUTAGE_S) for _ in range(8)))
            assert all(failed)
            while True:
                try:
                    await own.send_raw(scene.topic, None, b"after", [])
                except ExhaustError:
                    continue
                break
        assert_few(lines)


@either_fault
async def test_a_member_that_stops_meanwhile_leaves_nothing_behind(
    scene: Scene, kafka_process: int, servers_folder: Path, lines: Lines, fault: signal.Signals
) -> None:
    handled, stop = Handled(), asyncio.Event()
    await scene.send("before")
    async with asyncio.timeout(LIMIT_S * 2), nothing_left():
        member = asyncio.create_task(scene.consumer_loop(handled.note).run(stop, lambda: None, DRAIN))
        await handled.until_all(["before"])
        async with outage(kafka_process, servers_folder, fault):
            await asyncio.wait({member}, timeout=OUTAGE_S)
            stop.set()
            stopped_at = asyncio.get_running_loop().time()
            await member
            assert asyncio.get_running_loop().time() - stopped_at < STOP_S
        assert_few(lines)


def assert_few(lines: Lines) -> None:
    told = [line for line in lines.written if line.startswith(("aiokafka", "asyncio"))]
    print(f"\n{len(told)} lines of the driver:", *told, sep="\n")
    assert len(told) <= MOST_LINES
