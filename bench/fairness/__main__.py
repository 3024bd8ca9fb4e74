"""The command behind `make bench-fairness`: `python -m bench.fairness`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from bench.command import run_bench
from bench.fairness.measure import measure_fairness
from bench.fairness.testbed import open_testbed
from bench.progress import report_progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.bars import Bar


async def measure() -> Sequence[Bar]:
    """Start the stack, and measure."""
    report_progress("starting the stack, and filling it with telemetry")
    async with open_testbed() as testbed:
        return (await measure_fairness(testbed)).bars()


if __name__ == "__main__":
    sys.exit(run_bench("python -m bench.fairness", __doc__, measure))
