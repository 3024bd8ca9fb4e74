"""Scan workers end with their pool, and are replaced when they are lost or do not hash alike."""

from __future__ import annotations

import asyncio
import gzip
import os
import pickle
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from subprocess import PIPE
from typing import TYPE_CHECKING

import pytest
import structlog

from exhaust.errors import ErrorCode, ExhaustError, SourceObjectError
from services.aggregator.build.scan_workers import HashesDifferError, ScanWorker, ScanWorkerPool, open_scan_workers
from services.aggregator.scan.selector import Selection
from services.aggregator.scan.size_guard import SourceLimits
from services.aggregator.scan.source_scan import ScanJob
from services.aggregator.scan.worker_process import CHUNK, GREETING, HEADER
from services.aggregator.scan.worker_process import JOB as JOB_KIND

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from services.aggregator.scan.source_scan import ScanOutput, ScanResult

LIMITS = SourceLimits(max_bytes=2**30, max_ratio=1000, ratio_grace=2**20, max_members=100, max_line=2**20)
ALL = Selection(None, None, ("a",), frozenset(), "in.ekstep")
JOB = ScanJob("raw/x.json.gz", LIMITS, [ALL])
EVENT = b'{"eid":"A","tags":["a"]}\n'


async def chunks(*parts: bytes) -> AsyncGenerator[bytes, None]:
    for part in parts:
        yield part


async def ignore(_ready: ScanOutput) -> None:
    pass


async def scan(pool: ScanWorkerPool, stored: bytes) -> list[ScanResult]:
    return await scan_all(pool, chunks(stored[:20], stored[20:]))


async def scan_all(pool: ScanWorkerPool, stored: AsyncGenerator[bytes, None]) -> list[ScanResult]:
    async with pool.worker() as worker:
        return await worker.scan(JOB, stored, ignore)


def children() -> set[int]:
    return set(map(int, Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()))


def environment(process: int) -> bytes:
    return Path(f"/proc/{process}/environ").read_bytes()


async def test_objects_are_scanned_side_by_side() -> None:
    async with open_scan_workers(2) as pool:
        found = await asyncio.gather(*(scan(pool, gzip.compress(EVENT * number)) for number in range(1, 6)))
    assert [each.stats.events for [each] in found] == [1, 2, 3, 4, 5]


async def test_processes_end_with_their_pool() -> None:
    before = children()
    async with open_scan_workers(3):
        started = children() - before
        assert len(started) == 3
    assert not children() & started


async def test_a_worker_goes_on_after_an_object_that_cannot_be_read() -> None:
    async with open_scan_workers(1) as pool:
        for _ in range(2):
            with pytest.raises(SourceObjectError, match=r"raw/x\.json\.gz: .*middle") as raised:
                await scan(pool, gzip.compress(EVENT)[:-3])
            assert raised.value.code is ErrorCode.SOURCE_OBJECT_UNREADABLE
            [scanned] = await scan(pool, gzip.compress(EVENT))
            assert scanned.stats.events == 1


async def test_a_process_that_was_killed_is_replaced_and_its_object_may_be_tried_again() -> None:
    before = children()
    async with open_scan_workers(1) as pool:
        [worker] = children() - before

        async def cut() -> AsyncGenerator[bytes, None]:
            yield gzip.compress(EVENT)
            os.kill(worker, signal.SIGKILL)
            while True:
                yield gzip.compress(EVENT)
                await asyncio.sleep(0)

        with pytest.raises(ExhaustError, match="a scanning process does not answer") as raised:
            await scan_all(pool, cut())
        assert raised.value.retryable
        [scanned] = await scan(pool, gzip.compress(EVENT))
        assert scanned.stats.events == 1


async def test_a_process_that_stands_still_is_replaced_and_its_object_may_be_tried_again() -> None:
    before = children()
    pool = ScanWorkerPool([ScanWorker(hashing(1), timedelta(seconds=2))])
    await pool.start()
    [stopped] = children() - before
    os.kill(stopped, signal.SIGSTOP)
    with (
        structlog.testing.capture_logs() as logs,
        pytest.raises(ExhaustError, match="a scanning process does not answer") as raised,
    ):
        await scan(pool, gzip.compress(EVENT))
    assert raised.value.retryable
    assert [(line["event"], line["seconds"]) for line in logs] == [("scan_worker.stands_still", 2.0)]
    assert stopped not in children()
    [scanned] = await scan(pool, gzip.compress(EVENT))
    assert scanned.stats.events == 1
    await pool.close()


async def test_the_time_that_a_chunk_takes_to_arrive_does_not_count() -> None:
    limit = timedelta(seconds=2)
    pool = ScanWorkerPool([ScanWorker(hashing(1), limit)])
    await pool.start()
    stored = gzip.compress(EVENT)

    async def slow() -> AsyncGenerator[bytes, None]:
        yield stored[:20]
        await asyncio.sleep(1.5 * limit.total_seconds())
        yield stored[20:]

    [scanned] = await scan_all(pool, slow())
    assert scanned.stats.events == 1
    await pool.close()


@pytest.mark.parametrize("sent", [b"", b"C", HEADER.pack(CHUNK, 100), HEADER.pack(CHUNK, 100) + b"half"])
def test_a_process_ends_silently_when_the_aggregator_has_ended(sent: bytes) -> None:
    command = [sys.executable, "-m", "services.aggregator.scan.worker_process"]
    with subprocess.Popen(command, stdin=PIPE, stdout=PIPE, stderr=PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(1) == GREETING
        process.stdin.write(sent)
        process.stdin.close()
        assert process.stderr.read() == b""
        assert process.wait(30) == 0


def test_a_process_whose_answer_nobody_reads_ends_silently() -> None:
    command = [sys.executable, "-m", "services.aggregator.scan.worker_process"]
    with subprocess.Popen(command, stdin=PIPE, stdout=PIPE, stderr=PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(1) == GREETING
        process.stdout.close()
        job = pickle.dumps(JOB)
        chunk = gzip.compress(EVENT)
        process.stdin.write(HEADER.pack(JOB_KIND, len(job)) + job + HEADER.pack(CHUNK, len(chunk)) + chunk)
        process.stdin.flush()
        assert process.stderr.read() == b""
        assert process.wait(30) == 1


async def test_a_scan_that_is_cancelled_frees_its_worker() -> None:
    async def endless() -> AsyncGenerator[bytes, None]:
        yield gzip.compress(EVENT)
        await asyncio.Event().wait()

    async with open_scan_workers(1) as pool:
        scanning = asyncio.create_task(scan_all(pool, endless()))
        waiting = asyncio.create_task(scan(pool, gzip.compress(EVENT)))
        await asyncio.wait({scanning, waiting}, timeout=0.1)
        assert not waiting.done()
        scanning.cancel()
        [scanned] = await waiting
        assert scanned.stats.events == 1


async def test_errors_of_the_source_are_raised() -> None:
    async def failing() -> AsyncGenerator[bytes, None]:
        yield gzip.compress(EVENT)
        raise SourceObjectError(ErrorCode.SOURCE_OBJECT_CHANGED, "raw/x.json.gz", "was replaced")

    async with open_scan_workers(1) as pool:
        with pytest.raises(SourceObjectError, match="was replaced"):
            await scan_all(pool, failing())


async def test_no_secret_of_the_aggregator_is_in_the_environment_of_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXHAUST_S3_SECRET_KEY", "a-secret-that-stays")
    before = children()
    async with open_scan_workers(1):
        [worker] = children() - before
        assert b"a-secret-that-stays" not in environment(worker)


def hashing(seed: int) -> dict[str, str]:
    return os.environ | {"PYTHONHASHSEED": str(seed)}


async def test_processes_that_hash_differently_are_refused_at_their_start() -> None:
    before = children()
    pool = ScanWorkerPool([ScanWorker(hashing(1)), ScanWorker(hashing(1)), ScanWorker(hashing(2))])
    with pytest.raises(HashesDifferError, match="do not hash alike"):
        await pool.start()
    await pool.close()
    alike = ScanWorkerPool([ScanWorker(hashing(1)), ScanWorker(hashing(1))])
    await alike.start()
    await alike.close()
    assert children() == before


async def test_a_process_that_hashes_unlike_the_one_before_is_replaced() -> None:
    environment = hashing(1)
    before = children()
    pool = ScanWorkerPool([ScanWorker(environment)])
    await pool.start()
    with pytest.raises(SourceObjectError):
        await scan(pool, gzip.compress(EVENT)[:-3])  # so that a process is started again
    environment["PYTHONHASHSEED"] = "2"
    with pytest.raises(HashesDifferError) as raised:
        await scan(pool, gzip.compress(EVENT))
    assert raised.value.retryable
    assert children() == before
    environment["PYTHONHASHSEED"] = "1"
    [scanned] = await scan(pool, gzip.compress(EVENT))
    assert scanned.stats.events == 1
    await pool.close()
