"""Lanes: the processes that scan objects, one for each core that the worker may use.

Scanning holds a core; in processes of its own it neither holds up the loop that answers Kafka, nor waits for Python's
global lock. A lane gets an object's stored bytes and gives back what of them belongs into archives.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pickle
import secrets
import sys
from collections import deque
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Final, cast

import structlog

from exhaust.errors import ErrorCode, ExhaustError, unavailable
from services.aggregator.scan.lane_process import CHUNK, END, HEADER, ORDER, read_object
from services.aggregator.scan.source_scan import Ready

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence

    from services.aggregator.scan.numbering import NumberOrder
    from services.aggregator.scan.source_scan import Scanned, ScanOrder

    Order = ScanOrder | NumberOrder
    Sink = Callable[[Ready], Awaitable[None]]

_WINDOW: Final = 3  # chunks on their way, so that neither side waits for the other
_ANSWER_TIMEOUT_S: Final = 300.0  # for one chunk, and longer than reading one may take
_PIPE_BYTES: Final = 4 * 1024 * 1024
_SEEDS: Final = 2**32

log = structlog.get_logger(__name__)


class HashesDifferError(ExhaustError):
    """Two scanning processes hash the same text differently, so repeated ids could not be counted."""

    def __init__(self) -> None:
        super().__init__(
            ErrorCode.SERVICE_UNAVAILABLE, "the processes that scan do not hash alike; restart the aggregator"
        )


class Lanes:
    """All lanes of a worker; who wants one waits for its turn."""

    def __init__(self, lanes: Sequence[Lane]) -> None:
        self.count = len(lanes)
        self._all = lanes
        self._free: asyncio.Queue[Lane] = asyncio.Queue()
        for lane in self._all:
            self._free.put_nowait(lane)

    @asynccontextmanager
    async def lane(self) -> AsyncIterator[Lane]:
        """One lane, as soon as it is free."""
        lane = await self._free.get()
        try:
            yield lane
        finally:
            self._free.put_nowait(lane)

    async def start(self) -> None:
        """Start all processes, so that the first object need not wait for one.

        Raises:
            HashesDifferError: see there.
            ExhaustError: a process ended at its start.
        """
        await asyncio.gather(*(lane.start() for lane in self._all))
        hashes = {lane.known_hash for lane in self._all}
        if len(hashes) > 1:
            log.error("lanes.hashes_differ", hashes=len(hashes), lanes=self.count)
            raise HashesDifferError

    async def close(self) -> None:
        """End all processes."""
        await asyncio.gather(*(lane.end() for lane in self._all))


@asynccontextmanager
async def open_lanes(count: int) -> AsyncIterator[Lanes]:
    """Lanes that have started, and end with the block.

    Raises:
        ExhaustError: see Lanes.start.
    """
    # The lanes hash alike, so that equal ids are found equal; unlike any other worker, so that nobody can prepare
    # keys that collide. None of the worker's secrets is in their environment.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("EXHAUST_")}
    environment["PYTHONHASHSEED"] = str(secrets.randbelow(_SEEDS))
    lanes = Lanes([Lane(environment) for _ in range(count)])
    try:
        await lanes.start()
        yield lanes
    finally:
        await asyncio.shield(lanes.close())


class Lane:
    """One process. It scans one object at a time, and is replaced when that did not end well.

    Attributes:
        known_hash: how its processes hash KNOWN_TEXT; None before the first has started.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.known_hash: int | None = None
        self._environment = environment
        self._process: asyncio.subprocess.Process | None = None

    async def scan(self, order: ScanOrder, chunks: AsyncGenerator[bytes, None], sink: Sink) -> list[Scanned]:
        """Scan one object.

        Args:
            order: what to do.
            chunks: the object's stored bytes; closed at the end.
            sink: takes what each chunk gave; what passes of the chunk itself is among its deflated bytes.

        Returns:
            What the object gave to each selection.

        Raises:
            SourceObjectError: the object cannot be exported.
            SeveralMembersError: it must be scanned again with `deflate_anew`.
            ExhaustError: SERVICE_UNAVAILABLE when a lane ended; or what `chunks` or `sink` raise.
        """
        return cast("list[Scanned]", await self._run(order, chunks, sink))

    async def number(self, order: NumberOrder, chunks: AsyncGenerator[bytes, None]) -> dict[int, int]:
        """For each offset that is asked for, the number of its line. Arguments and errors are those of scan."""

        async def nothing(_ready: Ready) -> None:
            """There is nothing to take."""

        return cast("dict[int, int]", await self._run(order, chunks, nothing))

    async def start(self) -> asyncio.subprocess.Process:
        """The process, started unless it runs.

        Raises:
            HashesDifferError: it hashes unlike the one that it replaces.
            ExhaustError: it ended at its start.
        """
        if self._process is None:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "services.aggregator.scan.lane_process",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=_PIPE_BYTES,
                env=self._environment,
            )
            await self._check_hash(self._process)
        return self._process

    async def end(self) -> None:
        """End the process; the next object gets another."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()

    async def _check_hash(self, process: asyncio.subprocess.Process) -> None:
        known_hash = await _answer(_pipes(process)[1])
        if self.known_hash is None:
            self.known_hash = cast("int", known_hash)
        if known_hash != self.known_hash:
            log.error("lane.hashes_differently")
            raise HashesDifferError

    async def _run(self, order: Order, chunks: AsyncGenerator[bytes, None], sink: Sink) -> object:
        async with aclosing(chunks):
            return await self._converse(order, chunks, sink)

    async def _converse(self, order: Order, chunks: AsyncGenerator[bytes, None], sink: Sink) -> object:
        well = False
        tasks: list[asyncio.Task[object]] = []
        try:
            scanning = _Scanning(await self.start(), sink)
            tasks += [asyncio.create_task(scanning.receive()), asyncio.create_task(scanning.send(order, chunks))]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
            failed = [task for task in tasks if task.done() and task.exception() is not None]
            outcome = (failed[0] if failed else tasks[0]).result()
            well = True
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if not well:
                await asyncio.shield(self.end())
        return outcome


class _Scanning:
    """The conversation about one object."""

    def __init__(self, process: asyncio.subprocess.Process, sink: Sink) -> None:
        self._to, self._from = _pipes(process)
        self._sink = sink
        self._sent: deque[bytes] = deque()
        self._room = asyncio.Semaphore(_WINDOW)

    async def send(self, order: Order, chunks: AsyncGenerator[bytes, None]) -> None:
        await self._write(ORDER, pickle.dumps(order))
        async for chunk in chunks:
            await self._room.acquire()
            self._sent.append(chunk)
            await self._write(CHUNK, chunk)
        await self._write(END, b"")

    async def receive(self) -> object:
        while True:
            answer = await _answer(self._from)
            if isinstance(answer, Exception):
                raise answer
            if isinstance(answer, Ready):
                await self._sink(_with_passage(answer, self._sent.popleft()))
                self._room.release()
            elif isinstance(answer, tuple):
                ready, outcome = answer
                await self._sink(ready)
                return outcome

    async def _write(self, kind: bytes, payload: bytes) -> None:
        try:
            self._to.write(HEADER.pack(kind, len(payload)))
            self._to.write(payload)
            await self._to.drain()
        except (ConnectionError, RuntimeError) as error:
            raise unavailable("a scanning process") from error


def _with_passage(ready: Ready, chunk: bytes) -> Ready:
    """What a chunk gave, with what passes of the chunk itself."""
    if not ready.passage.end:
        return ready
    [begun] = ready.deflated
    return Ready([begun + memoryview(chunk)[ready.passage.start : ready.passage.end]], mids=ready.mids)


def _pipes(process: asyncio.subprocess.Process) -> tuple[asyncio.StreamWriter, asyncio.StreamReader]:
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("a lane's process needs pipes")
    return process.stdin, process.stdout


async def _answer(arriving: asyncio.StreamReader) -> object:
    try:
        async with asyncio.timeout(_ANSWER_TIMEOUT_S):
            _, size = HEADER.unpack(await arriving.readexactly(HEADER.size))
            return read_object(await arriving.readexactly(size))
    except (asyncio.IncompleteReadError, ConnectionError, TimeoutError) as error:
        raise unavailable("a scanning process") from error
