"""The command behind `make bench`: `python -m bench.aggregator [--quick] [--keep]`."""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from typing import Final

from bench.aggregator import filtering, growing, latency, moving
from bench.aggregator.findings import Findings
from bench.aggregator.report import markdown, show_findings
from bench.aggregator.stages import measure_stages
from bench.aggregator.versions import versions
from bench.aggregator.workplace import DEFAULT_FOLDER, opened
from bench.errors import BenchError
from bench.machine import machine
from bench.progress import tell
from deploy.local.stack import PROJECT, StackError

ROUNDS: Final = 5
QUICK_ROUNDS: Final = 3
NEEDED_GB: Final = 25
QUICK_NEEDED_GB: Final = 10
GB: Final = 10**9
INTERRUPTED: Final = 130


def measure(folder: Path, findings: Findings, *, quick: bool, keep: bool) -> None:
    """Measures everything, or all but the large sizes."""
    with opened(folder, QUICK_ROUNDS if quick else ROUNDS, keep=keep) as place:
        filtering.measure(place, findings)
        moving.measure_whole(place, findings)
        moving.measure_assembling(place, findings)
        growing.measure_partners(place, findings)
        if not quick:
            growing.measure_amounts(place, findings)
            growing.measure_sizes(place, findings)
        growing.judge_memory(findings)
        tell("where the time of a scan worker goes")
        findings.stages = measure_stages(place.blocks[0].path)
        latency.measure(place, findings, folder / "blocks")


def main() -> int:
    """Measures, shows, and writes docs/benchmarks.md.

    Returns:
        The exit code: 0 when every bar holds, 1 when one does not or it could not be measured, 130 after Ctrl-C.
    """
    parser = argparse.ArgumentParser(prog="python -m bench.aggregator", description=__doc__)
    parser.add_argument("--quick", action="store_true", help=f"the small size only, in {QUICK_ROUNDS} rounds")
    parser.add_argument("--keep", action="store_true", help="keep what was generated and built")
    parser.add_argument("--folder", type=Path, default=DEFAULT_FOLDER, help="where all of that lies")
    parser.add_argument("--output", type=Path, default=PROJECT / "docs" / "benchmarks.md", help="where the text goes")
    chosen = parser.parse_args()
    findings = Findings()
    try:
        _check_room(chosen.folder, QUICK_NEEDED_GB if chosen.quick else NEEDED_GB)
        facts = machine(), versions()
        measure(chosen.folder, findings, quick=chosen.quick, keep=chosen.keep)
    except (BenchError, StackError) as error:
        show_findings(findings)
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    chosen.output.write_text(markdown(findings, QUICK_ROUNDS if chosen.quick else ROUNDS, *facts))
    show_findings(findings)
    return 0 if all(bar.holds for bar in findings.bars) else 1


def _check_room(folder: Path, needed_gb: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free / GB
    if free < needed_gb:
        raise BenchError(f"{folder} has {free:.0f} GB free and {needed_gb} are needed: make room, or use --folder")


if __name__ == "__main__":
    sys.exit(main())
