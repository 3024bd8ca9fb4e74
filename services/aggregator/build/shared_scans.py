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
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import structlog

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date

    from exhaust.s3.object_info import ObjectInfo
    from services.aggregator.archive.day_record import DayRecord
    from services.aggregator.build.day_scan import DayScanner, WantedArchive

# Each archive that is written at the same time may hold a part of 5 MiB, and its share of what is under way.
MOST_TOGETHER: Final = 20
_DECIDING_LIMIT_S: Final = 2.0  # long for a listing; who takes longer gets another scan

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ScanKey:
    """What a scan reads: requests with equal keys can share one.

    Attributes:
        sources: a fingerprint of the listing, so that nobody gets an older one.
        alone: of the archive, when it takes all and shares with nobody else.
    """

    dataset: str
    day: date
    sources: str
    alone: str | None


@dataclass(slots=True)
class _Waiting:
    """The archives that wait for the next scan of one key."""

    sources: Sequence[ObjectInfo]
    archives: dict[str, tuple[WantedArchive, asyncio.Future[DayRecord]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Promise:
    """An archive that is being written, or will be.

    Attributes:
        joined: whether it was promised to somebody else before.
    """

    record: asyncio.Future[DayRecord]
    joined: bool

    async def kept(self) -> DayRecord:
        """The archive's record, once both are durable.

        Raises:
            ExhaustError: see DayScanner.write.
        """
        return await asyncio.shield(self.record)  # whoever stops waiting must not take it from the others


class SharedScans:
    """Hands archives to the scanner, so many days at a time as it is told."""

    def __init__(self, scanner: DayScanner, *, at_once: int) -> None:
        self._scanner = scanner
        self._turns = asyncio.Semaphore(at_once)
        self._waiting: dict[ScanKey, _Waiting] = {}
        self._promised: dict[str, asyncio.Future[DayRecord]] = {}
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

    def promise(self, key: ScanKey, sources: Sequence[ObjectInfo], wanted: WantedArchive) -> Promise:
        """Have an archive written, with others if others want the same objects, unless it is being written already."""
        earlier = self._promised.get(wanted.key)
        return Promise(earlier or self._promise(key, sources, wanted), joined=earlier is not None)

    async def close(self) -> None:
        """Give up what is under way, and what waits."""
        for scan in self._scans:
            scan.cancel()
        await asyncio.gather(*self._scans, return_exceptions=True)
        for promise in list(self._promised.values()):
            promise.cancel()

    def _promise(self, key: ScanKey, sources: Sequence[ObjectInfo], wanted: WantedArchive) -> asyncio.Future[DayRecord]:
        promise = asyncio.get_running_loop().create_future()
        self._promised[wanted.key] = promise
        promise.add_done_callback(lambda done: self._kept(wanted.key, done))
        if key not in self._waiting:
            self._waiting[key] = _Waiting(sources)
            self._start(key)
        self._waiting[key].archives[wanted.key] = (wanted, promise)
        return promise

    def _kept(self, archive_key: str, promise: asyncio.Future[DayRecord]) -> None:
        del self._promised[archive_key]
        if not promise.cancelled():
            promise.exception()  # those who waited may all be gone

    def _start(self, key: ScanKey) -> None:
        scan = asyncio.create_task(self._scan(key), name=f"scan {key.dataset} {key.day}")
        self._scans.add(scan)
        scan.add_done_callback(self._scans.discard)

    async def _scan(self, key: ScanKey) -> None:
        """Serve those who wait for a key, when it is its turn; whoever comes later waits for another scan."""
        async with self._turns:
            if key.alone is None:
                await self._all_decided(key)
            waiting = self._waiting.pop(key)
            archives = list(waiting.archives.values())
            rest = archives[MOST_TOGETHER:]
            if rest:
                self._waiting[key] = _Waiting(waiting.sources, {wanted.key: (wanted, kept) for wanted, kept in rest})
                self._start(key)
            await self._serve(key, waiting.sources, archives[:MOST_TOGETHER])

    async def _all_decided(self, key: ScanKey) -> None:
        """Wait until nobody else may come to want the day."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_DECIDING_LIMIT_S):
                while others := self._deciding.get((key.dataset, key.day)):
                    await asyncio.wait(set(others))

    async def _serve(
        self,
        key: ScanKey,
        sources: Sequence[ObjectInfo],
        archives: Sequence[tuple[WantedArchive, asyncio.Future[DayRecord]]],
    ) -> None:
        wanted = [archive for archive, _ in archives]
        [outcome] = await asyncio.gather(self._scanner.write(key.day, sources, wanted), return_exceptions=True)
        for number, (_, promise) in enumerate(archives):
            if isinstance(outcome, BaseException):
                promise.set_exception(outcome)  # it is for those who wait
            else:
                promise.set_result(outcome[number])
        log.info("day.scanned", day=str(key.day), sources=len(sources), archives=len(archives))
