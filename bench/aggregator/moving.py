"""Where nothing is filtered: whole objects of a resource, and the assembling of days that exist."""

from __future__ import annotations

import hashlib
import io
import zipfile
import zlib
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Final

from bench.aggregator.correctness import whole_difference
from bench.aggregator.findings import MIB, Row
from bench.aggregator.generated_data import day_objects, days_from
from bench.aggregator.ours import ExistingDay
from bench.aggregator.workplace import CHANNEL, WHOLE, WHOLE_PREFIX
from bench.bars import at_least
from bench.errors import BenchError
from bench.progress import tell

if TYPE_CHECKING:
    from bench.aggregator.findings import Findings
    from bench.aggregator.workplace import Workplace

DAY: Final = date(2024, 1, 5)
OBJECTS: Final = 32
ASSEMBLED_FIRST: Final = date(2024, 7, 1)
ASSEMBLED_DAYS: Final = 31
ASSEMBLED_SIZE: Final = 64 * MIB
_EXISTING: Final = "existing/"
_CENTRAL_HEADER: Final = b"PK\1\2"


def measure_whole(place: Workplace, findings: Findings) -> None:
    """Whole objects, in turns with a plain copy of them through a process."""
    objects = day_objects(DAY, place.blocks, OBJECTS)
    place.upload(WHOLE_PREFIX, objects)
    task, size = f"{OBJECTS} whole objects", sum(made.stored for made in objects)
    tell(f"{task}, in turns with a plain copy")
    job = place.job("plain_copy", WHOLE_PREFIX, objects)
    turns = place.in_turns(
        lambda: findings.remember(f"{task} of a resource", place.build(WHOLE, [DAY])),
        lambda: place.run("plain_copy", job).seconds,
    )
    archive = place.fetch(place.build(WHOLE, [DAY]).keys[0])
    if found := whole_difference(archive, place.files(objects)):
        raise BenchError(f"our archive of whole objects is wrong: {found}")
    findings.rows += [
        Row(task, "ours", "S3 → S3", turns.ours, size, note="right", processors=turns.our_time),
        Row(
            task,
            "ceiling: copy through a process",
            "S3 → S3",
            turns.theirs,
            size,
            times=turns.times_faster,
            processors=turns.their_time,
        ),
    ]
    share = 100 * turns.times_faster
    findings.bars.append(at_least("unfiltered, share of the speed of a plain S3 copy", share, 60, "%"))


def measure_assembling(place: Workplace, findings: Findings) -> None:
    """Assembling 31 days that exist, in turns with bare UploadPartCopy."""
    task, size = f"assemble {ASSEMBLED_DAYS} days of 64 MiB", ASSEMBLED_DAYS * ASSEMBLED_SIZE
    tell(f"{task}, in turns with bare UploadPartCopy")
    days = _existing(place)
    copied = replace(place.job("part_copy", "", ()), keys=tuple(day.key for day in days), target="peers/assembled.zip")
    turns = place.in_turns(
        lambda: findings.remember(task, place.worker.assemble(WHOLE, CHANNEL, days)),
        lambda: place.run("part_copy", copied).seconds,
    )
    place.forget()
    _check_assembled(place, days)
    findings.rows += [
        Row(task, "ours", "S3 → S3", turns.ours, size, note="right", processors=turns.our_time),
        Row(
            task,
            "ceiling: bare UploadPartCopy",
            "within S3",
            turns.theirs,
            size,
            times=turns.times_faster,
            processors=turns.their_time,
        ),
    ]
    share = 100 * turns.times_faster
    findings.bars.append(at_least("assembling, share of the speed of bare UploadPartCopy", share, 80, "%"))
    place.client.delete_below(place.stack.s3.exhaust_bucket, _EXISTING)


def _existing(place: Workplace) -> list[ExistingDay]:
    """Day archives in the bucket: sound zips of exactly the size, all with the same bytes, as members of a download."""
    data = _zip_of_size(ASSEMBLED_SIZE)
    crc32, sha256 = zlib.crc32(data), hashlib.sha256(data).hexdigest()
    days = []
    for day in days_from(ASSEMBLED_FIRST, ASSEMBLED_DAYS):
        key = f"{_EXISTING}{day.isoformat()}.zip"
        download = _packed(f"{day.isoformat()}.zip", data)
        member = download[: download.rindex(_CENTRAL_HEADER)]
        place.client.put(place.stack.s3.exhaust_bucket, key, member, len(member))
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


def _check_assembled(place: Workplace, days: list[ExistingDay]) -> None:
    archive = place.fetch(place.worker.assemble(WHOLE, CHANNEL, days).keys[0])
    with zipfile.ZipFile(archive) as zipped:
        names = [f"{day.day}.zip" for day in days]
        if zipped.namelist() != [*names, "manifest.json"] or zipped.testzip() is not None:
            raise BenchError("our assembled archive has other members than its days and a manifest, or broken ones")
        if {zipped.getinfo(name).CRC for name in names} != {day.crc32 for day in days}:
            raise BenchError("our assembled archive holds other days")
    archive.unlink()
