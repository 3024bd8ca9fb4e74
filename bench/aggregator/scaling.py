"""The measurement of growth: time and memory with more partners of a shared day, more objects, larger objects."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Final

from bench.aggregator.filtering import OBJECTS, ONE
from bench.aggregator.generated_data import BLOCKS, CHANNELS, FIRST_DAY, day_objects, days_from
from bench.aggregator.results import MIB, Row
from bench.aggregator.testbed import SHARED, SHARED_PREFIX
from bench.bars import at_most
from bench.errors import BenchError
from bench.progress import report_progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.aggregator.generated_data import GeneratedObject
    from bench.aggregator.results import Results
    from bench.aggregator.testbed import Testbed

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
    """An amount of raw telemetry that is built once, to measure memory."""

    name: str
    days: Sequence[date]
    objects: int
    blocks_each: int = 1

    def of_day(self, testbed: Testbed, day: date) -> list[GeneratedObject]:
        """Return the objects of one of the days."""
        return day_objects(day, testbed.blocks, self.objects, self.blocks_each)


FOUR: Final = Size("4 times 440 MB in 32 objects", (FOUR_DAY,), 4 * OBJECTS)
SIXTEEN: Final = Size("16 times 440 MB in 128 objects", (SIXTEEN_DAY,), 16 * OBJECTS)
LARGE: Final = Size("5 GB in one object", (LARGE_DAY,), 1, LARGE_BLOCKS)
MONTH_OF_GB: Final = Size("31 days of 1 GB", MONTH, DAY_BLOCKS)


def measure_partners(testbed: Testbed, results: Results) -> None:
    """Measure 20 resources of one shared day, alternating with one of them, on the objects of filtering.py."""
    task = f"{len(CHANNELS)} resources of one day"
    report_progress(f"{task}, in turns with one")
    turns = testbed.alternate(
        lambda: testbed.build(SHARED, [FIRST_DAY]).seconds,
        lambda: results.add_memory(task, testbed.build(SHARED, [FIRST_DAY], CHANNELS)),
    )
    amount = OBJECTS * sum(block.raw for block in testbed.blocks) // BLOCKS
    results.rows.append(Row(task, "ours", "S3 → S3", turns.theirs, amount, processors=turns.their_time))
    name = "cost of 20 resources of a shared day, times that of one"
    results.bars.append(at_most(name, turns.times_faster, 4, "x"))


def measure_amounts(testbed: Testbed, results: Results) -> None:
    """Measure 4 and 16 times the data in as many more objects; 16 times alternates with once."""
    _once(testbed, results, FOUR)
    report_progress(f"{SIXTEEN.name}, in turns with once")
    testbed.upload(SHARED_PREFIX, SIXTEEN.of_day(testbed, SIXTEEN_DAY))
    turns = testbed.alternate(
        lambda: results.add_memory(ONE, testbed.build(SHARED, [FIRST_DAY])),
        lambda: results.add_memory(SIXTEEN.name, testbed.build(SHARED, [SIXTEEN_DAY])),
    )
    raw = sum(made.raw for made in SIXTEEN.of_day(testbed, SIXTEEN_DAY))
    results.rows.append(Row(SIXTEEN.name, "ours", "S3 → S3", turns.theirs, raw))
    results.bars.append(at_most("time of 16 times the data, times that of once", turns.times_faster, 17, "x"))
    testbed.client.delete_below(testbed.stack.s3.raw_bucket, f"{SHARED_PREFIX}{SIXTEEN_DAY}")


def measure_sizes(testbed: Testbed, results: Results) -> None:
    """Measure one large object, and a month of large days."""
    for size in (LARGE, MONTH_OF_GB):
        _once(testbed, results, size)


def judge_memory(results: Results) -> None:
    """Add the bar for the peak memory of all jobs."""
    most = max(results.memory, key=lambda seen: seen.peak)
    name = f"peak memory of a worker over {len(results.memory)} jobs, most for {most.job}"
    results.bars.append(at_most(name, most.peak / MIB, MOST_MEMORY_MIB, "MiB"))


def _once(testbed: Testbed, results: Results, size: Size) -> None:
    report_progress(size.name)
    for day in size.days:
        testbed.upload(SHARED_PREFIX, size.of_day(testbed, day))
    with testbed.watched():
        done = testbed.build(SHARED, size.days)
    results.add_memory(size.name, done)
    raw = sum(made.raw for day in size.days for made in size.of_day(testbed, day))
    results.rows.append(Row(size.name, "ours", "S3 → S3", [done.seconds], raw))
    _check_members(testbed, done.keys, size.objects)
    for day in size.days:
        testbed.client.delete_below(testbed.stack.s3.raw_bucket, f"{SHARED_PREFIX}{day}")


def _check_members(testbed: Testbed, keys: Sequence[str], objects: int) -> None:
    """Check that each archive is sound and has a member for each object. Lines were compared at the small size."""
    for path in map(testbed.fetch, keys):
        with zipfile.ZipFile(path) as archive:
            if len(archive.namelist()) != objects or archive.testzip() is not None:
                raise BenchError(
                    f"{path.name} has {len(archive.namelist())} members for {objects} objects, or broken ones"
                )
