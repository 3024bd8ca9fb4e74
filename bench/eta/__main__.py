"""The command behind `make bench-eta`: `python -m bench.eta`."""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from bench.command import run_bench
from bench.eta.measure import DAYS, EVENTS_PER_DAY, measure_forecasts
from bench.fairness.testbed import open_testbed
from bench.progress import report_progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.bars import Bar

WITHIN: Final = timedelta(minutes=10)


async def measure() -> Sequence[Bar]:
    """Start the stack, and measure."""
    report_progress(f"starting the stack, and filling it with {DAYS} days of telemetry")
    async with open_testbed(days=DAYS, events_per_day=EVENTS_PER_DAY) as testbed:
        return (await measure_forecasts(testbed)).bars()


if __name__ == "__main__":
    sys.exit(run_bench("python -m bench.eta", __doc__, measure, within=WITHIN))
