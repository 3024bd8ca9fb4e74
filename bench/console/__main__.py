"""The command behind `make bench-console`: `python -m bench.console`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from bench.command import run_bench
from bench.console.measure import measure_console
from bench.gateway.testbed import open_testbed
from bench.progress import report_progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.bars import Bar


async def measure() -> Sequence[Bar]:
    """Start the stack, and measure."""
    report_progress("starting the stack")
    async with open_testbed() as testbed:
        report_progress("measuring submits, status reads and a scan, with the console frozen and with it at work")
        return (await measure_console(testbed)).bars()


if __name__ == "__main__":
    sys.exit(run_bench("python -m bench.console", __doc__, measure))
