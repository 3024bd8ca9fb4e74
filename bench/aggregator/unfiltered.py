"""The measurement without filtering: whole objects of a resource, and the assembling of days that exist."""

from __future__ import annotations

import hashlib
import io
import zipfile
import zlib
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Final

from bench.aggregator.correctness import whole_difference
from bench.aggregator.generated_data import day_objects, days_from
from bench.aggregator.our_worker import ExistingDay
from bench.aggregator.results import MIB, Row
from bench.aggregator.testbed import CHANNEL, WHOLE, WHOLE_PREFIX
from bench.bars import at_least
from bench.errors import BenchError
from bench.progress import report_progress

if TYPE_CHECKING:
    from bench.aggregator.results import Results
    from bench.aggregator.testbed import Testbed, Turns

DAY: Final = date(2024, 1, 5)
OBJECTS: Final = 32
ASSEMBLED_FIRST: Final = date(2024, 7, 1)
ASSEMBLED_DAYS: Final = 31
ASSEMBLED_SIZE: Final = 64 * MIB
_EXISTING: Final = "existing/"
_CENTRAL_HEADER: Final = b"PK\1\2"


def measure_whole(testbed: Testbed, results: Results) -> None:
    """Measure whole objects, alternating with a plain copy of them through a process."""
    objects = day_objects(DAY, testbed.blocks, OBJECTS)
    testbed.upload(WHOLE_PREFIX, objects)
    task, size = f"{OBJECTS} whole objects", sum(made.stored for made in objects)
    report_progress(f"{task}, in turns with a plain copy")
    job = testbed.job("plain_copy", WHOLE_PREFIX, objects)
    turns = testbed.alternate(
        lambda: results.add_memory(f"{task} of a resource", testbed.build(WHOLE, [DAY])),
        lambda: testbed.run("plain_copy", job).seconds,
    )
    archive = testbed.fetch(testbed.build(WHOLE, [DAY]).keys[0])
    if found := whole_difference(archive, testbed.files(objects)):
        raise BenchError(f"our archive of whole objects is wrong: {found}")
    results.rows += _rows(task, size, turns, "ceiling: copy through a process", "S3 → S3")
    share = 100 * turns.times_faster
    results.bars.append(at_least("unfiltered, share of the speed of a plain S3 copy", share, 60, "%"))


def measure_assembling(testbed: Testbed, results: Results) -> None:
    """Measure the assembling of 31 days that exist, alternating with bare UploadPartCopy."""
    task, size = f"assemble {ASSEMBLED_DAYS} days of 64 MiB", ASSEMBLED_DAYS * ASSEMBLED_SIZE
    report_progress(f"{task}, in turns with bare UploadPartCopy")
    days = _existing(testbed)
    copied = replace(
        testbed.job("part_copy", "", ()), keys=tuple(day.key for day in days), target="peers/assembled.zip"
    )
    turns = testbed.alternate(
        lambda: results.add_memory(task, testbed.worker.assemble(WHOLE, CHANNEL, days)),
        lambda: testbed.run("part_copy", copied).seconds,
    )
    testbed.delete_built()
    _check_assembled(testbed, days)
    results.rows += _rows(task, size, turns, "ceiling: bare UploadPartCopy", "within S3")
    share = 100 * turns.times_faster
    results.bars.append(at_least("assembling, share of the speed of bare UploadPartCopy", share, 80, "%"))
    testbed.client.delete_below(testbed.stack.s3.exhaust_bucket, _EXISTING)


def _rows(task: str, size: int, turns: Turns, ceiling: str, way: str) -> list[Row]:
    return [
        Row(task, "ours", "S3 → S3", turns.ours, size, note="right", processors=turns.our_time),
        Row(task, ceiling, way, turns.theirs, size, times=turns.times_faster, processors=turns.their_time),
    ]


def _existing(testbed: Testbed) -> list[ExistingDay]:
    """Put day archives into the bucket: sound zips of exactly the same size and bytes, as members of a download."""
    data = _zip_of_size(ASSEMBLED_SIZE)
    crc32, sha256 = zlib.crc32(data), hashlib.sha256(data).hexdigest()
    days = []
    for day in days_from(ASSEMBLED_FIRST, ASSEMBLED_DAYS):
        key = f"{_EXISTING}{day.isoformat()}.zip"
        download = _packed(f"{day.isoformat()}.zip", data)
        member = download[: download.rindex(_CENTRAL_HEADER)]
        testbed.client.put(testbed.stack.s3.exhaust_bucket, key, member, len(member))
        days.append(ExistingDay(day.isoformat(), key, len(data), crc32, sha256))
    return days


def _zip_of_size(size: int) -> bytes:
    name = "2024-07-01-1719791999999.json"
    return _packed(name, hashlib.shake_256().digest(size - len(_packed(name, b""))))


def _packed(name: str, content: bytes) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        archive.writestr(zipfile.ZipInfo(name), content)
    return written.getvalue()


def _check_assembled(testbed: Testbed, days: list[ExistingDay]) -> None:
    archive = testbed.fetch(testbed.worker.assemble(WHOLE, CHANNEL, days).keys[0])
    with zipfile.ZipFile(archive) as zipped:
        names = [f"{day.day}.zip" for day in days]
        if zipped.namelist() != [*names, "manifest.json"] or zipped.testzip() is not None:
            raise BenchError("our assembled archive has other members than its days and a manifest, or broken ones")
        if {zipped.getinfo(name).CRC for name in names} != {day.crc32 for day in days}:
            raise BenchError("our assembled archive holds other days")
    archive.unlink()
