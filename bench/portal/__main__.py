"""The command behind `make bench-portal`: `python -m bench.portal`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from bench.command import run_bench
from bench.portal.measure import GRANTS, measure_pages, open_portal
from bench.progress import report_progress
from services.gateway.portal.strips import DAYS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.bars import Bar


async def measure() -> Sequence[Bar]:
    """Start the stack, and measure."""
    report_progress(f"starting the stack, and filling it with {DAYS} days of {GRANTS} partners")
    async with open_portal() as visitor:
        return await measure_pages(visitor)


if __name__ == "__main__":
    sys.exit(run_bench("python -m bench.portal", __doc__, measure))
