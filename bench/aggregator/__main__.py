"""The command behind `make bench`: `python -m bench.aggregator [--quick] [--keep]`."""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from typing import Final

from bench.aggregator import filtering, latency, scaling, unfiltered
from bench.aggregator.report import markdown, show_results
from bench.aggregator.results import Results
from bench.aggregator.stages import measure_stages
from bench.aggregator.testbed import DEFAULT_FOLDER, open_testbed
from bench.aggregator.versions import versions
from bench.errors import BenchError
from bench.machine import machine
from bench.progress import report_progress
from deploy.local.stack import PROJECT, StackError

ROUNDS: Final = 5
QUICK_ROUNDS: Final = 3
NEEDED_GB: Final = 25
QUICK_NEEDED_GB: Final = 10
GB: Final = 10**9
INTERRUPTED: Final = 130


def measure(folder: Path, results: Results, *, quick: bool, keep: bool) -> None:
    """Measure everything, or everything but the large sizes."""
    with open_testbed(folder, QUICK_ROUNDS if quick else ROUNDS, keep=keep) as testbed:
        filtering.measure(testbed, results)
        unfiltered.measure_whole(testbed, results)
        unfiltered.measure_assembling(testbed, results)
        scaling.measure_partners(testbed, results)
        if not quick:
            scaling.measure_amounts(testbed, results)
            scaling.measure_sizes(testbed, results)
        scaling.judge_memory(results)
        report_progress("measuring the stages of a scan worker")
        results.stages = measure_stages(testbed.blocks[0].path)
        latency.measure(testbed, results, folder / "blocks")


def main() -> int:
    """Measure, show the results, and write docs/benchmarks.md.

    Returns:
        The exit code: 0 when every bar holds, 1 when one does not or something could not be measured, 130 after Ctrl-C.
    """
    parser = argparse.ArgumentParser(prog="python -m bench.aggregator", description=__doc__)
    parser.add_argument("--quick", action="store_true", help=f"the small size only, in {QUICK_ROUNDS} rounds")
    parser.add_argument("--keep", action="store_true", help="keep what was generated and built")
    parser.add_argument("--folder", type=Path, default=DEFAULT_FOLDER, help="where all of that lies")
    parser.add_argument("--output", type=Path, default=PROJECT / "docs" / "benchmarks.md", help="where the text goes")
    chosen = parser.parse_args()
    results = Results()
    try:
        _check_room(chosen.folder, QUICK_NEEDED_GB if chosen.quick else NEEDED_GB)
        facts = machine(), versions()
        measure(chosen.folder, results, quick=chosen.quick, keep=chosen.keep)
    except (BenchError, StackError) as error:
        show_results(results)
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    chosen.output.write_text(markdown(results, QUICK_ROUNDS if chosen.quick else ROUNDS, *facts))
    show_results(results)
    return 0 if all(bar.holds for bar in results.bars) else 1


def _check_room(folder: Path, needed_gb: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free / GB
    if free < needed_gb:
        raise BenchError(f"{folder} has {free:.0f} GB free and {needed_gb} are needed: make room, or use --folder")


if __name__ == "__main__":
    sys.exit(main())
