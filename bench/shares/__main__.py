"""The command behind `make bench-shares`: `python -m bench.shares`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from bench.command import run_bench
from bench.gateway.testbed import open_testbed
from bench.progress import report_progress
from bench.shares.crowd import POLLS, READERS
from bench.shares.measure import measure_shares

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.bars import Bar


async def measure() -> Sequence[Bar]:
    """Start the stack, and measure."""
    report_progress("starting the stack")
    async with open_testbed() as testbed:
        report_progress(f"measuring one key alone, and beside {POLLS} long polls and {READERS} slow readers of another")
        return (await measure_shares(testbed)).bars()


if __name__ == "__main__":
    sys.exit(run_bench("python -m bench.shares", __doc__, measure))
