"""What several workers, workers that are killed, and a worker that is busy give and answer."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import os
import signal
import time
from dataclasses import dataclass
from datetime import date, timedelta
from io import BytesIO
from typing import TYPE_CHECKING
from uuid import uuid4
from zipfile import BadZipFile, ZipFile

import pytest

from deploy.local.independent_count import Wanted, compare_download
from deploy.local.s3_settings import s3_settings
from tests.acceptance.conftest import FOLDER
from tests.support.partner import Partner, resource_of
from tests.support.raw_dataset import event, packed
from tests.support.s3_operations import delete_object, list_multipart_uploads
from tests.support.workers import Workers, own_workers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import aiohttp

    from deploy.local.stack import Stack
    from exhaust.s3.store import ObjectStore
    from exhaust.settings import S3RawBucketSettings
    from tests.support.workers import Worker

# Every kill costs some five seconds, so few are enough each time; EXHAUST_KILLS=20 looks closer.
KILLS = int(os.environ.get("EXHAUST_KILLS", "4"))
SEED = b"moments"
DATASET = "eks-consumption-raw"
MIB = 1024 * 1024
FIRST = date(2026, 5, 1)
PATIENT = "PT30S"  # no worker is missed because this machine is busy
BUILT = 'exhaust_days_total{outcome="built"}'
REUSED = 'exhaust_days_total{outcome="reused"}'


@pytest.fixture(scope="module")
async def place(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Workers]:
    assert stack.processes
    async with own_workers(FOLDER, tmp_path_factory.mktemp("logs")) as opened:
        yield opened


@pytest.fixture
async def workers(place: Workers) -> AsyncIterator[Workers]:
    yield place
    for worker in tuple(place.running):
        await place.end(worker)


@dataclass(frozen=True, slots=True)
class Export:
    """A request that can be made again and again, with or without what earlier ones built."""

    partner: Partner
    objects: ObjectStore
    settings: S3RawBucketSettings
    owner: str
    first: date
    raw: dict[str, dict[str, bytes]]

    async def submit(self, first: int = 0, last: int = -1) -> str:
        """The id of a request for the days from one number to another."""
        days = sorted(self.raw)
        path = f"{DATASET}/{resource_of(self.owner)}/{days[first]}/{days[last]}"
        reply = await self.partner.submit(path, partner_id=self.owner)
        assert reply.status == 202, reply
        return str(reply.result["requestid"])

    async def download(self, request: str) -> bytes:
        result = await self.partner.finished(request)
        assert result["status"] == "complete", result
        return await self.partner.download(result)

    async def sha256(self) -> str:
        return hashlib.sha256(await self.download(await self.submit())).hexdigest()

    async def built(self) -> list[str]:
        """Keys of the day archives and of their summaries."""
        keys = []
        for kind in ("days", "records"):
            prefix = f"{kind}/{DATASET}/{resource_of(self.owner)}/"
            keys += [found.key async for found in self.objects.list(self.settings.s3_exhaust_bucket, prefix)]
        return keys

    async def forget(self) -> None:
        """Delete every day archive, so that the next request is as the first."""
        bucket = self.settings.s3_exhaust_bucket
        await asyncio.gather(*(delete_object(self.settings, bucket, key) for key in await self.built()))

    async def left_open(self) -> list[str]:
        return await list_multipart_uploads(self.settings, self.settings.s3_exhaust_bucket, "")


async def new_export(
    stack: Stack, partner: Partner, objects: ObjectStore, *, first: date, days: int, filler: int, lines: int
) -> Export:
    """Raw objects of `days` days for a new owner, two a day; half of their lines are somebody else's."""
    owner = f"in.channel.{uuid4().hex[:8]}"
    noise = hashlib.shake_128(b"noise").hexdigest(filler * lines // 2)
    mine = [
        event(number, channel=owner, filler=noise[number * filler : (number + 1) * filler]) for number in range(lines)
    ]
    others = [event(number, channel="other") for number in range(lines)]
    raw: dict[str, dict[str, bytes]] = {}
    for number in range(days):
        day = str(first + timedelta(days=number))
        raw[day] = {
            f"{day}-{1777593600000 + place}.json.gz": packed(event(number, channel=owner), *mine, *others)
            for place in range(2)
        }
        await asyncio.gather(
            *(objects.put(stack.s3.raw_bucket, f"raw/{name}", data) for name, data in raw[day].items())
        )
    await partner.grant(owner)
    return Export(partner, objects, s3_settings(stack.s3), owner, first, raw)


@pytest.fixture
async def large(stack: Stack, partner: Partner, objects: ObjectStore) -> Export:
    """Days of some 7 MiB, so that each is an upload of several parts."""
    return await new_export(stack, partner, objects, first=FIRST, days=3, filler=4096, lines=1400)


async def test_a_worker_that_is_killed_at_any_moment_changes_no_byte_and_leaves_no_upload(
    large: Export, workers: Workers, tmp_path: Path
) -> None:
    worker = await workers.start()
    whole = await large.download(await large.submit())
    await large.forget()
    began = time.monotonic()
    assert await large.download(await large.submit()) == whole
    lasted = time.monotonic() - began
    archive = tmp_path / "download.zip"
    archive.write_bytes(whole)
    days = compare_download(archive, sorted(large.raw), large.raw.__getitem__, Wanted(resource_of(large.owner)))
    assert [day.difference for day in days if day.difference] == []
    in_the_middle = uploads = 0
    for moment in moments(lasted):
        await large.forget()
        request = await large.submit()
        await asyncio.sleep(moment)  # the random moment itself
        worker, kill = await killed(workers, worker, large)
        uploads += kill
        in_the_middle += len(await large.built()) < 2 * len(large.raw)
        again = await large.download(request)
        assert same(again, whole), await difference(large, request, again, whole)
        await nothing_open(large)
    print(
        f"\n{KILLS} kills within {lasted:.1f} s; {in_the_middle} before all days, {uploads} uploads left open by them"
    )
    assert in_the_middle


def same(download: bytes, expected: bytes) -> bool:
    """Compares without pytest's own comparison, which takes minutes for so many bytes."""
    return hashlib.sha256(download).digest() == hashlib.sha256(expected).digest()


async def difference(export: Export, request: str, download: bytes, expected: bytes) -> str:
    """Says where a download differs, how much of it, if its zip is sound, and if it differs once more."""
    differing = [at for at, (found, wanted) in enumerate(zip(download, expected, strict=False)) if found != wanted]
    zeros = sum(download[at] == 0 for at in differing)
    try:
        broken = ZipFile(BytesIO(download)).testzip()
    except BadZipFile as error:
        broken = str(error)
    return (
        f"{len(download)} bytes instead of {len(expected)}; {len(differing)} differ, {zeros} of them are 0, from"
        f" {differing[:1]} to {differing[-1:]}; damaged member: {broken};"
        f" right when downloaded again: {same(await export.download(request), expected)}"
    )


async def nothing_open(export: Export) -> None:
    """Waits until no upload is open: two days may both be the last, and the slower one still assembles."""
    async with asyncio.timeout(20):
        for pause in itertools.repeat(0.1):
            if not await export.left_open():
                return
            await asyncio.sleep(pause)


def moments(lasted: float) -> list[float]:
    """Moments at random, the same in every run."""
    drawn = hashlib.shake_128(SEED).digest(KILLS * 4)
    return [int.from_bytes(drawn[at : at + 4]) / 2**32 * lasted for at in range(0, len(drawn), 4)]


async def killed(workers: Workers, worker: Worker, export: Export) -> tuple[Worker, int]:
    """Kills a worker; another one, ready, and how many uploads the dead one had open."""
    await workers.end(worker, signal.SIGKILL)
    left = len(await export.left_open())
    return await workers.start(), left


async def test_one_worker_and_three_give_the_same_bytes_cold_and_warm(
    workers: Workers, stack: Stack, partner: Partner, objects: ObjectStore
) -> None:
    export = await new_export(stack, partner, objects, first=FIRST + timedelta(days=40), days=8, filler=512, lines=1000)
    alone = await workers.start(PATIENT)
    found = [await export.sha256(), await export.sha256()]
    assert (alone.counted(BUILT), alone.counted(REUSED)) == (8, 8)
    three = [alone, await workers.start(PATIENT), await workers.start(PATIENT)]
    await workers.shared_out()
    await export.forget()
    found += [await export.sha256(), await export.sha256()]
    assert found == [found[0]] * 4
    built = [worker.counted(BUILT) for worker in three]
    built[0] -= 8
    assert sum(built) == 8
    assert sum(map(bool, built)) >= 2, "one worker did it all"
    # By day, because the metric counts a message again that comes again, and finds the day that it has built.
    days_built = set().union(*(worker.days(reused=False) for worker in three))
    days_found = set().union(*(worker.days(reused=True) for worker in three)) - days_built
    assert (len(days_built), len(days_found)) == (16, 16)
    await export.forget()
    several = await asyncio.gather(*(export.submit(first, last) for first, last in ((0, 7), (0, 6), (1, 7), (2, 5))))
    downloads = await asyncio.gather(*map(export.download, several))
    assert hashlib.sha256(downloads[0]).hexdigest() == found[0]
    # The metric counts every request that waited for it; the log says what was written.
    assert sum(worker.archives() for worker in three) == 8 * 3


async def test_health_answers_while_every_core_is_busy(
    workers: Workers, stack: Stack, partner: Partner, objects: ObjectStore, http: aiohttp.ClientSession
) -> None:
    export = await new_export(
        stack, partner, objects, first=FIRST + timedelta(days=20), days=4, filler=16, lines=15_000
    )
    worker = await workers.start()
    waits: list[float] = []
    finishing = asyncio.create_task(partner.finished(await export.submit()))
    while not finishing.done():
        began = time.monotonic()
        async with http.get(f"{worker.address}/health/live") as answer:
            assert answer.status == 200
        waits.append(time.monotonic() - began)
        await asyncio.wait({finishing}, timeout=0.01)
    assert (await finishing)["status"] == "complete"
    waits.sort()
    median, most, worst = waits[len(waits) // 2], waits[len(waits) * 9 // 10], waits[-1]
    print(
        f"\n{len(waits)} probes: median {median * 1000:.1f} ms, 90 % {most * 1000:.1f} ms, worst {worst * 1000:.1f} ms"
    )
    assert len(waits) > 20
    # Not the worst: whatever else this machine does, and this test itself, may hold one probe up.
    assert most < 0.1
