"""The command behind `make bench-by-hash`: `python -m bench.by_hash`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from bench.by_hash.measure import DAYS, EVENTS_PER_DAY, measure_both
from bench.command import run_bench
from bench.fairness.testbed import open_testbed
from bench.progress import report_progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.bars import Bar


async def measure() -> Sequence[Bar]:
    """Start the stack, and measure."""
    report_progress(f"starting the stack, and filling it with {DAYS} days of telemetry")
    async with open_testbed(days=DAYS, events_per_day=EVENTS_PER_DAY) as testbed:
        return (await measure_both(testbed)).bars()


if __name__ == "__main__":
    sys.exit(run_bench("python -m bench.by_hash", __doc__, measure))
