"""The processes that scan: they end with the worker, and one that is lost is replaced."""

from __future__ import annotations

import asyncio
import gzip
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from exhaust.errors import ErrorCode, ExhaustError, SourceObjectError
from services.aggregator.build.lanes import HashesDifferError, Lane, Lanes, open_lanes
from services.aggregator.scan.selecting import Selection
from services.aggregator.scan.size_guard import Limits
from services.aggregator.scan.source_scan import ScanOrder

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from services.aggregator.scan.source_scan import Ready, Scanned

LIMITS = Limits(max_bytes=2**30, max_ratio=1000, ratio_grace=2**20, max_members=100, max_line=2**20)
ALL = Selection(None, None, ("a",), frozenset(), "in.ekstep")
ORDER = ScanOrder("raw/x.json.gz", LIMITS, [ALL])
EVENT = b'{"eid":"A","tags":["a"]}\n'


async def chunks(*parts: bytes) -> AsyncGenerator[bytes, None]:
    for part in parts:
        yield part


async def ignore(_ready: Ready) -> None:
    pass


async def scan(lanes: Lanes, stored: bytes) -> list[Scanned]:
    return await scan_all(lanes, chunks(stored[:20], stored[20:]))


async def scan_all(lanes: Lanes, stored: AsyncGenerator[bytes, None]) -> list[Scanned]:
    async with lanes.lane() as lane:
        return await lane.scan(ORDER, stored, ignore)


def children() -> set[int]:
    return set(map(int, Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()))


def environment(process: int) -> bytes:
    return Path(f"/proc/{process}/environ").read_bytes()


async def test_objects_are_scanned_side_by_side() -> None:
    async with open_lanes(2) as lanes:
        found = await asyncio.gather(*(scan(lanes, gzip.compress(EVENT * number)) for number in range(1, 6)))
    assert [each.tally.events for [each] in found] == [1, 2, 3, 4, 5]


async def test_lanes_end_with_their_worker() -> None:
    before = children()
    async with open_lanes(3):
        started = children() - before
        assert len(started) == 3
    assert not children() & started


async def test_a_lane_goes_on_after_an_object_that_cannot_be_read() -> None:
    async with open_lanes(1) as lanes:
        for _ in range(2):
            with pytest.raises(SourceObjectError, match=r"raw/x\.json\.gz: .*middle") as raised:
                await scan(lanes, gzip.compress(EVENT)[:-3])
            assert raised.value.code is ErrorCode.SOURCE_OBJECT_UNREADABLE
            [scanned] = await scan(lanes, gzip.compress(EVENT))
            assert scanned.tally.events == 1


async def test_a_lane_that_was_killed_is_replaced_and_its_object_may_be_tried_again() -> None:
    before = children()
    async with open_lanes(1) as lanes:
        [lane] = children() - before

        async def cut() -> AsyncGenerator[bytes, None]:
            yield gzip.compress(EVENT)
            os.kill(lane, signal.SIGKILL)
            while True:
                yield gzip.compress(EVENT)
                await asyncio.sleep(0)

        with pytest.raises(ExhaustError, match="a scanning process does not answer") as raised:
            await scan_all(lanes, cut())
        assert raised.value.retryable
        [scanned] = await scan(lanes, gzip.compress(EVENT))
        assert scanned.tally.events == 1


async def test_who_stops_waiting_frees_the_lane() -> None:
    async def endless() -> AsyncGenerator[bytes, None]:
        yield gzip.compress(EVENT)
        await asyncio.Event().wait()

    async with open_lanes(1) as lanes:
        scanning = asyncio.create_task(scan_all(lanes, endless()))
        waiting = asyncio.create_task(scan(lanes, gzip.compress(EVENT)))
        await asyncio.wait({scanning, waiting}, timeout=0.1)
        assert not waiting.done()
        scanning.cancel()
        [scanned] = await waiting
        assert scanned.tally.events == 1


async def test_what_the_source_raises_is_raised() -> None:
    async def failing() -> AsyncGenerator[bytes, None]:
        yield gzip.compress(EVENT)
        raise SourceObjectError(ErrorCode.SOURCE_OBJECT_CHANGED, "raw/x.json.gz", "was replaced")

    async with open_lanes(1) as lanes:
        with pytest.raises(SourceObjectError, match="was replaced"):
            await scan_all(lanes, failing())


async def test_no_secret_of_the_worker_is_in_a_lanes_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXHAUST_S3_SECRET_KEY", "a-secret-that-stays")
    before = children()
    async with open_lanes(1):
        [lane] = children() - before
        assert b"a-secret-that-stays" not in environment(lane)


def hashing(seed: int) -> dict[str, str]:
    return os.environ | {"PYTHONHASHSEED": str(seed)}


async def test_processes_that_hash_differently_are_refused_at_their_start() -> None:
    before = children()
    lanes = Lanes([Lane(hashing(1)), Lane(hashing(1)), Lane(hashing(2))])
    with pytest.raises(HashesDifferError, match="do not hash alike"):
        await lanes.start()
    await lanes.close()
    alike = Lanes([Lane(hashing(1)), Lane(hashing(1))])
    await alike.start()
    await alike.close()
    assert children() == before


async def test_a_process_that_hashes_unlike_the_one_before_it_is_replaced() -> None:
    environment = hashing(1)
    before = children()
    lanes = Lanes([Lane(environment)])
    await lanes.start()
    with pytest.raises(SourceObjectError):
        await scan(lanes, gzip.compress(EVENT)[:-3])  # so that a process is started again
    environment["PYTHONHASHSEED"] = "2"
    with pytest.raises(HashesDifferError) as raised:
        await scan(lanes, gzip.compress(EVENT))
    assert raised.value.retryable
    assert children() == before
    environment["PYTHONHASHSEED"] = "1"
    [scanned] = await scan(lanes, gzip.compress(EVENT))
    assert scanned.tally.events == 1
    await lanes.close()
