"""The command of a benchmark that starts a stack, measures for a few minutes, and prints its bars."""

from __future__ import annotations

import argparse
import asyncio
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import uvloop

from bench.errors import BenchError
from bench.report import print_bars
from deploy.local.stack import StackError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from bench.bars import Bar

INTERRUPTED: Final = 130
LIMIT: Final = timedelta(minutes=3)


def run_bench(
    program: str,
    description: str | None,
    measure: Callable[[], Awaitable[Sequence[Bar]]],
    *,
    within: timedelta = LIMIT,
) -> int:
    """Measure, and print the bars.

    Args:
        program: name of the command in its help.
        description: of the command in its help.
        measure: starts the stack, measures and returns the bars.
        within: the time that it may take.

    Returns:
        The exit code: 0 when every bar holds, 1 when one does not or it could not be measured, 130 after Ctrl-C.
    """
    argparse.ArgumentParser(prog=program, description=description).parse_args()

    async def measure_in_time() -> Sequence[Bar]:
        async with asyncio.timeout(within.total_seconds()):
            return await measure()

    try:
        bars = uvloop.run(measure_in_time())
    except (BenchError, StackError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except TimeoutError:
        print(f"error: it took longer than {within.total_seconds():.0f} s", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    print_bars(bars)
    return 0 if all(bar.holds for bar in bars) else 1
