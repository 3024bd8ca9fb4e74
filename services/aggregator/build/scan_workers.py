"""The processes that scan source objects, one for each core that the aggregator may use.

Scanning holds a core. In a process of its own it neither holds up the event loop that answers Kafka, nor waits for
Python's global lock. A scan worker is sent the stored bytes of one object, chunk by chunk; its process
(scan/worker_process.py) feeds each chunk to a SourceScan (scan/source_scan.py) and sends back what that returns.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pickle
import secrets
import sys
from contextlib import aclosing, asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Final, cast

import structlog

from exhaust.errors import ErrorCode, ExhaustError, unavailable
from services.aggregator.build.turns import Turns
from services.aggregator.scan.source_scan import ScanOutput
from services.aggregator.scan.worker_process import CHUNK, END, HEADER, JOB, unpickle

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence

    from services.aggregator.scan.line_numbers import LineNumberJob
    from services.aggregator.scan.source_scan import ScanJob, ScanResult

    Job = ScanJob | LineNumberJob
    Sink = Callable[[ScanOutput], Awaitable[None]]

_CHUNKS_IN_FLIGHT: Final = 3  # so that neither side waits for the other
# For one chunk. The worst that the limits allow, 400 times its size when inflated, takes about 3 s of a processor.
ANSWER_TIMEOUT: Final = timedelta(seconds=30)
_PIPE_BYTES: Final = 4 * 1024 * 1024
_HASH_SEEDS: Final = 2**32  # PYTHONHASHSEED is below this

log = structlog.get_logger(__name__)


class HashesDifferError(ExhaustError):
    """Two scan workers hash the same text differently, so that repeated ids cannot be counted."""

    def __init__(self) -> None:
        super().__init__(
            ErrorCode.SERVICE_UNAVAILABLE,
            "the aggregator cannot count repeated events, as its scan workers do not hash alike; it must be restarted",
        )


class ScanWorkerPool:
    """The scan workers of an aggregator. Callers get free workers by turns, see turns.py.

    Attributes:
        count: number of workers.
    """

    def __init__(self, workers: Sequence[ScanWorker], demand: Mapping[str, int] | None = None) -> None:
        """Prepare.

        Args:
            workers: the processes.
            demand: how many archives are wanted at present, by resource.
        """
        self.count = len(workers)
        self._workers = workers
        self._free = list(workers)
        self._turns = Turns(self.count, {} if demand is None else demand)

    @asynccontextmanager
    async def worker(self, resources: Collection[str] = ()) -> AsyncIterator[ScanWorker]:
        """Take a worker when it is the turn of these resources; give it back at the end of the block."""
        async with self._turns.place(lambda: resources):
            worker = self._free.pop(0)
            try:
                yield worker
            finally:
                self._free.append(worker)

    async def start(self) -> None:
        """Start all processes, so that the first object need not wait for one.

        Raises:
            HashesDifferError: two of them hash the same text differently.
            ExhaustError: SERVICE_UNAVAILABLE when a process ends at its start.
        """
        await asyncio.gather(*(worker.start() for worker in self._workers))
        hashes = {worker.text_hash for worker in self._workers}
        if len(hashes) > 1:
            log.error("scan_workers.hashes_differ", hashes=len(hashes), workers=self.count)
            raise HashesDifferError

    async def close(self) -> None:
        """Kill all processes."""
        await asyncio.gather(*(worker.kill() for worker in self._workers))


@asynccontextmanager
async def open_scan_workers(count: int, demand: Mapping[str, int] | None = None) -> AsyncIterator[ScanWorkerPool]:
    """Start scan workers; kill them at the end of the block.

    Raises:
        ExhaustError: see ScanWorkerPool.start.
    """
    # All workers have one hash seed, so that equal ids have equal hashes. The seed is random, so that nobody can
    # prepare ids whose hashes collide. None of the aggregator's secrets is in their environment.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("EXHAUST_")}
    environment["PYTHONHASHSEED"] = str(secrets.randbelow(_HASH_SEEDS))
    pool = ScanWorkerPool([ScanWorker(environment) for _ in range(count)], demand)
    try:
        await pool.start()
        yield pool
    finally:
        await asyncio.shield(pool.close())


class ScanWorker:
    """One scanning process. It works on one object at a time, and is replaced after an object that failed.

    Args:
        environment: of its processes.
        answer_timeout: for one chunk; a process that takes longer is killed.

    Attributes:
        text_hash: how its processes hash KNOWN_TEXT; None before the first has started.
    """

    def __init__(self, environment: Mapping[str, str], answer_timeout: timedelta = ANSWER_TIMEOUT) -> None:
        self.text_hash: int | None = None
        self._answer_timeout = answer_timeout
        self._environment = environment
        self._process: asyncio.subprocess.Process | None = None

    async def scan(self, job: ScanJob, chunks: AsyncGenerator[bytes, None], sink: Sink) -> list[ScanResult]:
        """Scan one object.

        Args:
            job: what to scan for.
            chunks: the object's stored bytes; closed at the end.
            sink: takes the output of each chunk, its passthrough already among its deflated bytes.

        Returns:
            What the whole object gave to each selection.

        Raises:
            SourceObjectError: the object cannot be exported.
            SeveralMembersError: it must be scanned again with `recompress`.
            ExhaustError: SERVICE_UNAVAILABLE when the process ended; or what `chunks` or `sink` raise.
        """
        return cast("list[ScanResult]", await self._run(job, chunks, sink))

    async def number_lines(self, job: LineNumberJob, chunks: AsyncGenerator[bytes, None]) -> dict[int, int]:
        """Return the line number of each offset of the job. Arguments and errors are those of scan."""

        async def discard(_output: ScanOutput) -> None:
            """Take nothing, as there is nothing to take."""

        return cast("dict[int, int]", await self._run(job, chunks, discard))

    async def start(self) -> asyncio.subprocess.Process:
        """Return the process, started unless it runs.

        Raises:
            HashesDifferError: it does not hash like the process that it replaces.
            ExhaustError: SERVICE_UNAVAILABLE when it ends at its start.
        """
        if self._process is None:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "services.aggregator.scan.worker_process",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=_PIPE_BYTES,
                env=self._environment,
            )
            await self._check_hash(self._process)
        return self._process

    async def kill(self) -> None:
        """Kill the process; the next object gets another."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()

    async def _check_hash(self, process: asyncio.subprocess.Process) -> None:
        text_hash = await _receive(_pipes(process)[1], ANSWER_TIMEOUT)
        if self.text_hash is None:
            self.text_hash = cast("int", text_hash)
        if text_hash != self.text_hash:
            log.error("scan_worker.hash_differs")
            raise HashesDifferError

    async def _run(self, job: Job, chunks: AsyncGenerator[bytes, None], sink: Sink) -> object:
        async with aclosing(chunks):
            return await self._exchange(job, chunks, sink)

    async def _exchange(self, job: Job, chunks: AsyncGenerator[bytes, None], sink: Sink) -> object:
        succeeded = False
        tasks: list[asyncio.Task[object]] = []
        try:
            exchange = _Exchange(await self.start(), sink, self._answer_timeout)
            tasks += [asyncio.create_task(exchange.receive()), asyncio.create_task(exchange.send(job, chunks))]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
            failed = [task for task in tasks if task.done() and task.exception() is not None]
            result = (failed[0] if failed else tasks[0]).result()
            succeeded = True
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if not succeeded:
                await asyncio.shield(self.kill())
        return result


class _Exchange:
    """The messages to and from a process about one object."""

    def __init__(self, process: asyncio.subprocess.Process, sink: Sink, answer_timeout: timedelta) -> None:
        self._answer_timeout = answer_timeout
        self._stdin, self._stdout = _pipes(process)
        self._sink = sink
        self._unanswered: asyncio.Queue[bytes] = asyncio.Queue()  # chunks, and b"" for the end
        self._slots = asyncio.Semaphore(_CHUNKS_IN_FLIGHT)

    async def send(self, job: Job, chunks: AsyncGenerator[bytes, None]) -> None:
        await self._write(JOB, pickle.dumps(job))
        async for chunk in chunks:
            await self._slots.acquire()
            self._unanswered.put_nowait(chunk)
            await self._write(CHUNK, chunk)
        self._unanswered.put_nowait(b"")
        await self._write(END, b"")

    async def receive(self) -> object:
        while True:
            chunk = await self._unanswered.get()  # so that a slow store does not use up the time for an answer
            answer = await _receive(self._stdout, self._answer_timeout)
            if isinstance(answer, Exception):
                raise answer
            if isinstance(answer, ScanOutput):
                await self._sink(_with_passthrough(answer, chunk))
                self._slots.release()
            elif isinstance(answer, tuple):
                output, result = answer
                await self._sink(output)
                return result

    async def _write(self, kind: bytes, payload: bytes) -> None:
        try:
            self._stdin.write(HEADER.pack(kind, len(payload)))
            self._stdin.write(payload)
            await self._stdin.drain()
        except (ConnectionError, RuntimeError) as error:
            raise unavailable("a scanning process") from error


def _with_passthrough(output: ScanOutput, chunk: bytes) -> ScanOutput:
    """Return an output whose passthrough is among its deflated bytes. The process does not send a chunk back."""
    if not output.passthrough.end:
        return output
    [deflated] = output.deflated
    copied = memoryview(chunk)[output.passthrough.start : output.passthrough.end]
    return ScanOutput([deflated + copied], id_hashes=output.id_hashes)


def _pipes(process: asyncio.subprocess.Process) -> tuple[asyncio.StreamWriter, asyncio.StreamReader]:
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("a scanning process needs pipes")
    return process.stdin, process.stdout


async def _receive(stdout: asyncio.StreamReader, within: timedelta) -> object:
    try:
        async with asyncio.timeout(within.total_seconds()):
            _, size = HEADER.unpack(await stdout.readexactly(HEADER.size))
            return unpickle(await stdout.readexactly(size))
    except TimeoutError as error:
        log.warning("scan_worker.stands_still", seconds=within.total_seconds())
        raise unavailable("a scanning process") from error
    except (asyncio.IncompleteReadError, ConnectionError) as error:
        log.warning("scan_worker.ended")
        raise unavailable("a scanning process") from error
