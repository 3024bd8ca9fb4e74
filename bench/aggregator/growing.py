"""How time and memory grow: with the partners of a shared day, with the number of objects, with their size."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Final

from bench.aggregator.filtering import OBJECTS, ONE
from bench.aggregator.findings import MIB, Row
from bench.aggregator.generated_data import BLOCKS, CHANNELS, FIRST_DAY, day_objects, days_from
from bench.aggregator.workplace import SHARED, SHARED_PREFIX
from bench.bars import at_most
from bench.errors import BenchError
from bench.progress import tell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.aggregator.findings import Findings
    from bench.aggregator.generated_data import GeneratedObject
    from bench.aggregator.workplace import Workplace

FOUR_DAY: Final = date(2024, 1, 2)
SIXTEEN_DAY: Final = date(2024, 1, 3)
LARGE_DAY: Final = date(2024, 1, 4)
MONTH: Final = tuple(days_from(date(2024, 3, 1), 31))
# Blocks of 440 MB / 8: so many are 5 GB and 1 GB of JSON lines.
LARGE_BLOCKS: Final = 91
DAY_BLOCKS: Final = 19
MOST_MEMORY_MIB: Final = 256


@dataclass(frozen=True, slots=True)
class Size:
    """An amount of raw telemetry that is built once, to see how much memory it takes."""

    name: str
    days: Sequence[date]
    objects: int
    blocks_each: int = 1

    def of_day(self, place: Workplace, day: date) -> list[GeneratedObject]:
        """The objects of one of the days."""
        return day_objects(day, place.blocks, self.objects, self.blocks_each)


FOUR: Final = Size("4 times 440 MB in 32 objects", (FOUR_DAY,), 4 * OBJECTS)
SIXTEEN: Final = Size("16 times 440 MB in 128 objects", (SIXTEEN_DAY,), 16 * OBJECTS)
LARGE: Final = Size("5 GB in one object", (LARGE_DAY,), 1, LARGE_BLOCKS)
MONTH_OF_GB: Final = Size("31 days of 1 GB", MONTH, DAY_BLOCKS)


def measure_partners(place: Workplace, findings: Findings) -> None:
    """20 resources of one shared day, in turns with one of them. The day's objects are there from filtering."""
    task = f"{len(CHANNELS)} resources of one day"
    tell(f"{task}, in turns with one")
    turns = place.in_turns(
        lambda: place.build(SHARED, [FIRST_DAY]).seconds,
        lambda: findings.remember(task, place.build(SHARED, [FIRST_DAY], CHANNELS)),
    )
    amount = OBJECTS * sum(block.raw for block in place.blocks) // BLOCKS
    findings.rows.append(Row(task, "ours", "S3 → S3", turns.theirs, amount, processors=turns.their_time))
    name = "cost of 20 resources of a shared day, times that of one"
    findings.bars.append(at_most(name, turns.times_faster, 4, "x"))


def measure_amounts(place: Workplace, findings: Findings) -> None:
    """4 and 16 times the data in as many more objects; 16 times in turns with once."""
    _once(place, findings, FOUR)
    tell(f"{SIXTEEN.name}, in turns with once")
    place.upload(SHARED_PREFIX, SIXTEEN.of_day(place, SIXTEEN_DAY))
    turns = place.in_turns(
        lambda: findings.remember(ONE, place.build(SHARED, [FIRST_DAY])),
        lambda: findings.remember(SIXTEEN.name, place.build(SHARED, [SIXTEEN_DAY])),
    )
    raw = sum(made.raw for made in SIXTEEN.of_day(place, SIXTEEN_DAY))
    findings.rows.append(Row(SIXTEEN.name, "ours", "S3 → S3", turns.theirs, raw))
    findings.bars.append(at_most("time of 16 times the data, times that of once", turns.times_faster, 17, "x"))
    place.client.delete_below(place.stack.s3.raw_bucket, f"{SHARED_PREFIX}{SIXTEEN_DAY}")


def measure_sizes(place: Workplace, findings: Findings) -> None:
    """One large object, and a month of large days."""
    for size in (LARGE, MONTH_OF_GB):
        _once(place, findings, size)


def judge_memory(findings: Findings) -> None:
    """The bar over all jobs that were done."""
    most = max(findings.memory, key=lambda seen: seen.peak)
    name = f"peak memory of a worker over {len(findings.memory)} jobs, most for {most.job}"
    findings.bars.append(at_most(name, most.peak / MIB, MOST_MEMORY_MIB, "MiB"))


def _once(place: Workplace, findings: Findings, size: Size) -> None:
    tell(size.name)
    for day in size.days:
        place.upload(SHARED_PREFIX, size.of_day(place, day))
    with place.watched():
        done = place.build(SHARED, size.days)
    findings.remember(size.name, done)
    raw = sum(made.raw for day in size.days for made in size.of_day(place, day))
    findings.rows.append(Row(size.name, "ours", "S3 → S3", [done.seconds], raw))
    _check_members(place, done.keys, size.objects)
    for day in size.days:
        place.client.delete_below(place.stack.s3.raw_bucket, f"{SHARED_PREFIX}{day}")


def _check_members(place: Workplace, keys: Sequence[str], objects: int) -> None:
    """Every line was compared at the small size; here each archive must be sound and have a member for each object."""
    for path in map(place.fetch, keys):
        with zipfile.ZipFile(path) as archive:
            if len(archive.namelist()) != objects or archive.testzip() is not None:
                raise BenchError(
                    f"{path.name} has {len(archive.namelist())} members for {objects} objects, or broken ones"
                )
