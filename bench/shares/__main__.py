"""The command behind `make bench-shares`: `python -m bench.shares`."""

from __future__ import annotations

import argparse
import asyncio
import sys
from datetime import timedelta
from typing import Final

import uvloop

from bench.errors import BenchError
from bench.gateway.testbed import open_testbed
from bench.progress import report_progress
from bench.report import print_bars
from bench.shares.crowd import POLLS, READERS
from bench.shares.measure import SharesResult, measure_shares
from deploy.local.stack import StackError

INTERRUPTED: Final = 130
LIMIT: Final = timedelta(minutes=3)


async def measure() -> SharesResult:
    """Start the stack, and measure."""
    report_progress("starting the stack")
    async with asyncio.timeout(LIMIT.total_seconds()), open_testbed() as testbed:
        report_progress(f"measuring one key alone, and beside {POLLS} long polls and {READERS} slow readers of another")
        return await measure_shares(testbed)


def main() -> int:
    """Measure, and print the bars.

    Returns:
        The exit code: 0 when every bar holds, 1 when one does not or it could not be measured, 130 after Ctrl-C.
    """
    argparse.ArgumentParser(prog="python -m bench.shares", description=__doc__).parse_args()
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
