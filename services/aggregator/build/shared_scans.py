"""One scan serves all who wait: requests for the same objects are gathered, and the objects are read once for them.

While a day's objects are being scanned, others may come to want the same day. They wait together, and the next scan
serves them all: reading, inflating and parsing are paid once, only what is selected is paid by each. A scan also waits
for those who are still finding out whether they want something of its day, which takes them milliseconds. Who wants
what is being written already waits for that.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date

    from services.aggregator.archive.day_summary import DaySummary
    from services.aggregator.build.day_plan import DayPlan, ScanKey
    from services.aggregator.build.day_scan import DayScanner

# Each archive that is written at the same time may hold a part of 5 MiB, and its share of what is under way.
MOST_TOGETHER: Final = 20
_DECIDING_LIMIT_S: Final = 2.0  # long for a listing; who takes longer gets another scan

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A day that waits for the next scan of its key, and the future that those who asked for it wait for."""

    plan: DayPlan
    summary: asyncio.Future[DaySummary]


@dataclass(frozen=True, slots=True)
class Promise:
    """An archive that is being written, or will be.

    Attributes:
        joined: whether it was promised to somebody else before.
    """

    summary: asyncio.Future[DaySummary]
    joined: bool

    async def kept(self) -> DaySummary:
        """The archive's summary, once both are durable.

        Raises:
            ExhaustError: see DayScanner.write.
        """
        return await asyncio.shield(self.summary)  # whoever stops waiting must not take it from the others


class SharedScans:
    """Hands archives to the scanner, so many days at a time as it is told."""

    def __init__(self, scanner: DayScanner, *, at_once: int) -> None:
        self._scanner = scanner
        self._turns = asyncio.Semaphore(at_once)
        self._waiting: dict[ScanKey, list[_Waiting]] = {}
        self._promised: dict[str, asyncio.Future[DaySummary]] = {}
        self._scans: set[asyncio.Task[None]] = set()
        self._deciding: defaultdict[tuple[str, date], set[asyncio.Future[None]]] = defaultdict(set)

    @contextmanager
    def deciding(self, dataset: str, day: date) -> Iterator[None]:
        """As long as the block lasts, scans of the day wait for whoever is in it to promise an archive, or not to."""
        decision: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        others = self._deciding[dataset, day]
        others.add(decision)
        try:
            yield
        finally:
            decision.set_result(None)
            others.remove(decision)
            if not others:
                self._deciding.pop((dataset, day), None)

    def promise(self, plan: DayPlan) -> Promise:
        """Have an archive written, with others if others want the same objects, unless it is being written already."""
        earlier = self._promised.get(plan.archive_key)
        if earlier is not None:
            return Promise(earlier, joined=True)
        summary = asyncio.get_running_loop().create_future()
        self._promised[plan.archive_key] = summary
        summary.add_done_callback(partial(self._kept, plan.archive_key))
        self._enqueue(plan.scan_key, [_Waiting(plan, summary)])
        return Promise(summary, joined=False)

    async def close(self) -> None:
        """Give up what is under way, and what waits."""
        for scan in self._scans:
            scan.cancel()
        await asyncio.gather(*self._scans, return_exceptions=True)
        for promise in list(self._promised.values()):
            promise.cancel()

    def _kept(self, archive_key: str, summary: asyncio.Future[DaySummary]) -> None:
        del self._promised[archive_key]
        if not summary.cancelled():
            summary.exception()  # those who waited may all be gone

    def _enqueue(self, key: ScanKey, days: list[_Waiting]) -> None:
        """Add days to the next scan of a key, which is started unless it waits for its turn already."""
        if key in self._waiting:
            self._waiting[key] += days
            return
        self._waiting[key] = days
        scan = asyncio.create_task(self._scan(key), name=f"scan {key.dataset} {key.day}")
        self._scans.add(scan)
        scan.add_done_callback(self._scans.discard)

    async def _scan(self, key: ScanKey) -> None:
        """Serve those who wait for a key, when it is its turn; whoever comes later waits for another scan."""
        async with self._turns:
            if key.alone is None:
                await self._all_decided(key)
            waiting = self._waiting.pop(key)
            if len(waiting) > MOST_TOGETHER:
                self._enqueue(key, waiting[MOST_TOGETHER:])
            await self._serve(key, waiting[:MOST_TOGETHER])

    async def _all_decided(self, key: ScanKey) -> None:
        """Wait until nobody else may come to want the day."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_DECIDING_LIMIT_S):
                while others := self._deciding.get((key.dataset, key.day)):
                    await asyncio.wait(set(others))

    async def _serve(self, key: ScanKey, days: Sequence[_Waiting]) -> None:
        plans = [day.plan for day in days]
        [outcome] = await asyncio.gather(self._scanner.write(plans), return_exceptions=True)
        for number, day in enumerate(days):
            if isinstance(outcome, BaseException):
                day.summary.set_exception(outcome)  # it is for those who wait
            else:
                day.summary.set_result(outcome[number])
        log.info("day.scanned", day=str(key.day), sources=len(plans[0].sources), archives=len(plans))
