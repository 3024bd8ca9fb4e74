"""The command behind `make bench-fairness`: `python -m bench.fairness`."""

from __future__ import annotations

import argparse
import asyncio
import sys
from datetime import timedelta
from typing import Final

import uvloop

from bench.errors import BenchError
from bench.fairness.measure import FairnessResult, measure_fairness
from bench.fairness.testbed import open_testbed
from bench.progress import report_progress
from bench.report import print_bars
from deploy.local.stack import StackError

INTERRUPTED: Final = 130
LIMIT: Final = timedelta(minutes=3)


async def measure() -> FairnessResult:
    """Start the stack, and measure."""
    report_progress("starting the stack, and filling it with telemetry")
    async with asyncio.timeout(LIMIT.total_seconds()), open_testbed() as testbed:
        return await measure_fairness(testbed)


def main() -> int:
    """Measure, and print the bars.

    Returns:
        The exit code: 0 when every bar holds, 1 when one does not or it could not be measured, 130 after Ctrl-C.
    """
    argparse.ArgumentParser(prog="python -m bench.fairness", description=__doc__).parse_args()
    try:
        bars = uvloop.run(measure()).bars()
    except (BenchError, StackError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except TimeoutError:
        print(f"error: it took longer than {LIMIT.total_seconds():.0f} s", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    print_bars(bars)
    return 0 if all(bar.holds for bar in bars) else 1


if __name__ == "__main__":
    sys.exit(main())
