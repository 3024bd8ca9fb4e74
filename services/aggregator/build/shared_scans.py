"""Scans that are shared: the objects of a day are read once for all archives that are wanted at the same time.

While a day is being scanned, other messages may ask for archives of the same day. They wait together, and the next scan
serves them all: reading, inflating and parsing is paid once, and each archive pays for its own events. A scan also
waits for messages of its day whose lookup is in progress, which takes milliseconds. A request for an archive
that is pending already waits for that one. A scan whose archives nobody waits for any more is stopped.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog

from services.aggregator.build.turns import Turns

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Iterator, Sequence
    from datetime import date

    from services.aggregator.archive.day_summary import DaySummary
    from services.aggregator.build.day_plan import DayPlan, ScanKey
    from services.aggregator.build.day_scan import DayScanner

# Each archive that is written at the same time may hold a part of 5 MiB, and its share of what is under way.
MAX_ARCHIVES_PER_SCAN: Final = 20
_LOOKUP_TIMEOUT: Final = timedelta(seconds=2)  # long for a listing; a message that takes longer gets another scan

log = structlog.get_logger(__name__)


@dataclass(eq=False, slots=True)
class _Wanted:
    """An archive that waits for the next scan of its key or is being written, and the future of its callers.

    Attributes:
        callers: how many wait.
        scan: the archives of its scan and the scan's task, once it runs.
    """

    plan: DayPlan
    summary: asyncio.Future[DaySummary]
    callers: int = 0
    scan: tuple[Sequence[_Wanted], asyncio.Task[None] | None] = ((), None)


@dataclass(frozen=True, slots=True)
class PendingArchive:
    """An archive that is being built, or waits for its scan. Each has one caller, who has to ask for its result.

    Attributes:
        coalesced: True when another request had asked for the same archive before.
    """

    wanted: _Wanted
    coalesced: bool
    abandon: Callable[[_Wanted], None]

    async def result(self) -> DaySummary:
        """Return the archive's summary as soon as both are durable.

        Raises:
            ExhaustError: see DayScanner.write.
        """
        try:
            # A caller that is cancelled must not cancel it for the others.
            return await asyncio.shield(self.wanted.summary)
        finally:
            self.wanted.callers -= 1
            if not self.wanted.callers and not self.wanted.summary.done():
                self.abandon(self.wanted)


class SharedScans:
    """The scans that run, and the archives that wait for one.

    Args:
        scanner: writes the archives of one scan.
        demand: counts the pending archives by resource.
        at_once: how many scans of one resource may run at the same time; beside them there is a place for another one.
    """

    def __init__(self, scanner: DayScanner, demand: Counter[str], *, at_once: int) -> None:
        self._scanner = scanner
        self._slots = Turns(at_once + 1, demand, of_one=at_once)
        self._demand = demand
        self._waiting: dict[ScanKey, list[_Wanted]] = {}
        self._pending: dict[str, _Wanted] = {}  # by archive key
        self._scans: set[asyncio.Task[None]] = set()
        self._lookups: defaultdict[tuple[str, date], set[asyncio.Future[None]]] = defaultdict(set)

    @contextmanager
    def lookup_in_progress(self, dataset: str, day: date) -> Iterator[None]:
        """Hold back scans of the day until the block ends, as it may enqueue an archive."""
        lookup: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        lookups = self._lookups[dataset, day]
        lookups.add(lookup)
        try:
            yield
        finally:
            lookup.set_result(None)
            lookups.remove(lookup)
            if not lookups:
                self._lookups.pop((dataset, day), None)

    def enqueue(self, plan: DayPlan) -> PendingArchive:
        """Have an archive built by the next scan of its key, unless it is pending already."""
        wanted = self._pending.get(plan.archive_key)
        coalesced = wanted is not None
        if wanted is None:
            wanted = self._pending[plan.archive_key] = _Wanted(plan, asyncio.get_running_loop().create_future())
            wanted.summary.add_done_callback(partial(self._forget, wanted))
            self._demand[plan.resource] += 1
            self._add(plan.scan_key, [wanted])
        wanted.callers += 1
        return PendingArchive(wanted, coalesced, self._abandon)

    async def close(self) -> None:
        """Cancel the scans that run, and the archives that wait."""
        for scan in self._scans:
            scan.cancel()
        await asyncio.gather(*self._scans, return_exceptions=True)
        for wanted in list(self._pending.values()):
            wanted.summary.cancel()

    def _abandon(self, wanted: _Wanted) -> None:
        """Drop an archive that nobody waits for: from those that wait, or with its scan if it is the last of that."""
        waiting = self._waiting.get(wanted.plan.scan_key, [])
        if wanted in waiting:
            waiting.remove(wanted)
            self._drop(wanted)
        archives, scan = wanted.scan
        if scan is not None and not any(each.callers for each in archives):
            for each in archives:
                self._drop(each)
            scan.cancel()
            log.info("day.scan_stopped", day=str(wanted.plan.day), archives=len(archives))

    def _drop(self, wanted: _Wanted) -> None:
        """Let whoever wants the archive from now on have it built anew."""
        if self._pending.get(wanted.plan.archive_key) is wanted:
            del self._pending[wanted.plan.archive_key]
        wanted.summary.cancel()

    def _forget(self, wanted: _Wanted, summary: asyncio.Future[DaySummary]) -> None:
        if self._pending.get(wanted.plan.archive_key) is wanted:
            del self._pending[wanted.plan.archive_key]
        self._demand[wanted.plan.resource] -= 1
        if not self._demand[wanted.plan.resource]:
            del self._demand[wanted.plan.resource]
        if not summary.cancelled():
            summary.exception()  # marks it as seen, since all callers may be gone

    def _add(self, key: ScanKey, archives: list[_Wanted]) -> None:
        """Add archives to the next scan of a key; start its task unless it waits for a slot already."""
        if key in self._waiting:
            self._waiting[key] += archives
            return
        self._waiting[key] = archives
        scan = asyncio.create_task(self._scan(key), name=f"scan {key.dataset} {key.day}")
        self._scans.add(scan)
        scan.add_done_callback(self._scans.discard)

    async def _scan(self, key: ScanKey) -> None:
        """Serve the archives that wait for a key once there is a slot; later ones wait for another scan."""
        served: set[str] = set()
        async with self._slots.place(lambda: served or self._resources_of(key)):
            if key.alone is None:
                await self._wait_for_lookups(key)
            waiting = self._waiting.pop(key)
            served.update(archive.plan.resource for archive in waiting[:MAX_ARCHIVES_PER_SCAN])
            if len(waiting) > MAX_ARCHIVES_PER_SCAN:
                self._add(key, waiting[MAX_ARCHIVES_PER_SCAN:])
            if waiting:
                await self._serve(key, waiting[:MAX_ARCHIVES_PER_SCAN])

    def _resources_of(self, key: ScanKey) -> set[str]:
        return {archive.plan.resource for archive in self._waiting.get(key, ())}

    async def _wait_for_lookups(self, key: ScanKey) -> None:
        """Wait until no lookup of the day is in progress, for a limited time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_LOOKUP_TIMEOUT.total_seconds()):
                while lookups := self._lookups.get((key.dataset, key.day)):
                    await asyncio.wait(set(lookups))

    async def _serve(self, key: ScanKey, archives: Sequence[_Wanted]) -> None:
        for archive in archives:
            archive.scan = (archives, asyncio.current_task())
        plans = [archive.plan for archive in archives]
        [outcome] = await asyncio.gather(self._scanner.write(plans), return_exceptions=True)
        for number, archive in enumerate(archives):
            if isinstance(outcome, BaseException):
                archive.summary.set_exception(outcome)  # for the callers of PendingArchive.result
            else:
                archive.summary.set_result(outcome[number])
        log.info("day.scanned", day=str(key.day), sources=len(plans[0].sources), archives=len(plans))
