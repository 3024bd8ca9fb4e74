"""What the console takes from the data path: calls and scans while it is frozen, and while it is looked at."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from statistics import median
from typing import TYPE_CHECKING, Final

import aiohttp

from bench.aggregator.generated_data import blocks
from bench.aggregator.stages import scan_block, selections
from bench.bars import Bar, at_least, at_most
from bench.errors import BenchError
from bench.gateway.calls import READ, SUBMITTED, status_reads, submits
from bench.gateway.load_generator import call_for
from bench.memory import MemoryWatch, resident
from deploy.local.stack import PROJECT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from bench.gateway.testbed import Testbed

ROUNDS: Final = 4  # an even number: each state is the first of a round as often as the other
ROUND: Final = timedelta(seconds=2)
SCANS: Final = 4  # of the same object, one after the other
LEAST_SHARE: Final = 98.0  # percent
MOST_MEMORY: Final = 150.0
LOOK_EVERY: Final = timedelta(seconds=5)  # as an open page does
PAGES: Final = ("/now", "/flow", "/requests")
MEMORY_EVERY: Final = timedelta(milliseconds=500)
MIB: Final = 1024 * 1024


@dataclass(slots=True)
class Speeds:
    """Of each round, how much was done a second."""

    submits: list[float] = field(default_factory=list)
    statuses: list[float] = field(default_factory=list)
    scans: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ConsoleResult:
    """The speeds without and beside the console, and the highest resident set of its process."""

    alone: Speeds
    beside: Speeds
    memory: int

    def bars(self) -> list[Bar]:
        """Return the bars; each share is the median over the rounds, so that noise hits both alike."""
        return [
            _share("submits", self.alone.submits, self.beside.submits),
            _share("status reads", self.alone.statuses, self.beside.statuses),
            _share("scans of an object", self.alone.scans, self.beside.scans),
            at_most("resident set of the console", self.memory / MIB, MOST_MEMORY, "MiB"),
        ]


def _share(name: str, alone: list[float], beside: list[float]) -> Bar:
    told = f"{name} a second beside the console ({median(beside):.1f}), of those without ({median(alone):.1f})"
    share = median(100 * crowded / quiet for quiet, crowded in zip(alone, beside, strict=True))
    return at_least(told, share, LEAST_SHARE, "%")


async def measure_console(testbed: Testbed) -> ConsoleResult:
    """Measure in turns, with the console frozen and with it at work.

    Raises:
        BenchError: a call was refused, or a page was not shown.
    """
    console = testbed.stack.processes["console"]
    [block] = await asyncio.to_thread(blocks, PROJECT / ".local" / "bench-blocks", 1)
    content = block.path.read_bytes()
    reads = await status_reads(testbed.gateway)
    alone, beside = Speeds(), Speeds()
    with MemoryWatch(lambda: resident(console), MEMORY_EVERY) as memory:
        for number in range(ROUNDS):
            turns = [(_frozen(console), alone), (_looked_at(testbed.stack.console), beside)]
            for state, speeds in turns if number % 2 else reversed(turns):
                async with state:
                    await _measure_round(testbed, reads.__next__, speeds, content)
    return ConsoleResult(alone, beside, memory.peak)


async def _measure_round(testbed: Testbed, next_read: Callable[[], bytes], speeds: Speeds, block: bytes) -> None:
    gateway = testbed.gateway
    for next_call, status, found in (
        (next_read, READ, speeds.statuses),
        (submits(gateway), SUBMITTED, speeds.submits),
    ):
        made = await call_for(gateway.address, ROUND, next_call)
        made.check(status)
        found.append(made.per_second)
    speeds.scans.append(await asyncio.to_thread(_scans_a_second, block))


@asynccontextmanager
async def _frozen(process: int) -> AsyncIterator[None]:
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)


@asynccontextmanager
async def _looked_at(console: str) -> AsyncIterator[None]:
    """Keep pages of the console open, as a browser does."""
    async with aiohttp.ClientSession() as session:

        async def look() -> None:
            while True:
                for page in PAGES:
                    async with session.get(console + page, headers={"Accept": "text/html"}) as answer:
                        if answer.status != READ:
                            raise BenchError(f"{page} of the console is answered with {answer.status}")
                        await answer.read()
                await asyncio.sleep(LOOK_EVERY.total_seconds())

        looking = asyncio.create_task(look())
        try:
            yield
        finally:
            if not looking.done():
                looking.cancel()
            await asyncio.wait({looking})
    if not looking.cancelled():
        looking.result()


def _scans_a_second(block: bytes) -> float:
    selected = selections()["one channel"]
    began = time.perf_counter()
    for _ in range(SCANS):
        scan_block(block, selected)
    return SCANS / (time.perf_counter() - began)
