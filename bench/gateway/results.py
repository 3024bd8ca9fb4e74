"""The results of the measurements: rows of the tables, bars, and docs/benchmarks-gateway.md."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Final

from admin.tables import print_table
from bench.bars import at_least, at_most
from bench.gateway.calls import ROUNDS
from bench.gateway.download import MIB, SIZE
from bench.gateway.slow_connections import SLOW
from bench.report import bars_section, circumstances, print_bars, table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.bars import Bar
    from bench.gateway.calls import Comparison
    from bench.gateway.download import Downloaded
    from bench.gateway.load_generator import CallStats
    from bench.gateway.slow_connections import SlowConnectionsResult

MS: Final = 1000
COLUMNS: Final = ("calls", "answered by", "a second", "p50 ms", "p99 ms", "slowest ms")
DOWNLOAD_COLUMNS: Final = ("1 GiB", "MiB/s", "s")
_METHOD: Final = """\
Made by `make bench-gateway`; do not edit. All figures are medians over rounds in which both services took turns; so are
the ratios.

- The stack runs as it ships, on the real PostgreSQL, Kafka and S3; only its limits on calls are lifted, and the
  aggregator is stopped, so that nothing else is at work. The load comes from one process with 32 connections.
- The bare service is aiohttp, uvloop and asyncpg in one process on tables of its own: the same statements with the same
  commits, and nothing else. It checks and writes no envelope, counts and limits nothing, and answers a status call by
  itself, where the gateway asks the status service.
- Every submit files another request. Status reads are of 1,000 requests in progress.
- The download is one object, read through the gateway (v1) and straight from S3 by the same reader. Memory is the
  highest resident set of the gateway's process meanwhile, looked at every 20 ms, less that before.
- The slow connections have sent half of a request's headers. Beside them one caller reads statuses, each on a
  connection of its own, while they are opened and for five seconds more.
"""


@dataclass(slots=True)
class Results:
    """All results, in the order in which they were measured."""

    rows: list[tuple[str, ...]] = field(default_factory=list)
    downloads: list[tuple[str, ...]] = field(default_factory=list)
    bars: list[Bar] = field(default_factory=list)

    def add_submits(self, comparison: Comparison) -> None:
        """Add the submits of both services."""
        self._add_comparison("submit", comparison)
        over = median(measured.percentile(99) / measured.percentile(50) for measured in comparison.gateway)
        self.bars += [
            at_least("submit, share of the bare service's calls a second", comparison.share, 40, "%"),
            at_most("submit, its p99 as times of its p50", over, 5, "x"),
        ]

    def add_statuses(self, comparison: Comparison) -> None:
        """Add the status reads of both services."""
        self._add_comparison("status", comparison)
        self.bars.append(at_least("status, share of the bare service's calls a second", comparison.share, 50, "%"))

    def add_downloads(self, downloaded: Downloaded) -> None:
        """Add the downloads of both ways."""
        seconds = downloaded.seconds
        for way, taken in (("through the gateway", seconds.ours), ("straight from S3", seconds.theirs)):
            self.downloads.append((way, f"{SIZE / MIB / median(taken):,.0f}", f"{median(taken):.2f}"))
        self.bars += [
            at_least("download of 1 GiB, share of the speed of S3 itself", 100 * seconds.times_faster, 60, "%"),
            at_most("the same, memory that it adds to the gateway", downloaded.added / MIB, 50, "MiB"),
        ]

    def add_slow(self, beside: SlowConnectionsResult) -> None:
        """Add the calls that ran beside slow connections."""
        self.rows += [
            _row("status, on new connections", "gateway", [beside.quiet]),
            _row(f"the same beside {SLOW:,} slow connections", "gateway", [beside.crowded]),
        ]
        slowest = MS * max(beside.crowded.latencies)
        self.bars.append(at_most(f"slowest answer beside {SLOW:,} slow connections", slowest, 1000, "ms"))

    def _add_comparison(self, calls: str, comparison: Comparison) -> None:
        self.rows += [_row(calls, "gateway", comparison.gateway), _row(calls, "bare service", comparison.bare)]


def _row(calls: str, name: str, rounds: Sequence[CallStats]) -> tuple[str, ...]:
    return (
        calls,
        name,
        f"{median(measured.per_second for measured in rounds):,.0f}",
        f"{MS * median(measured.percentile(50) for measured in rounds):.1f}",
        f"{MS * median(measured.percentile(99) for measured in rounds):.1f}",
        f"{MS * max(max(measured.latencies) for measured in rounds):.0f}",
    )


def print_results(results: Results) -> None:
    """Print tables on a terminal, tab-separated lines in a pipe; the verdict is last."""
    print_table(COLUMNS, results.rows)
    print()
    print_table(DOWNLOAD_COLUMNS, results.downloads)
    print()
    print_bars(results.bars)


def markdown(results: Results, machine: Mapping[str, str], versions: Mapping[str, str]) -> str:
    """Return the text of docs/benchmarks-gateway.md."""
    parts = [
        "# Benchmarks of the gateway\n",
        _METHOD,
        circumstances(ROUNDS, machine, versions),
        bars_section(results.bars),
        "## Calls\n",
        table(COLUMNS, results.rows),
        "## Downloads\n",
        table(DOWNLOAD_COLUMNS, results.downloads),
    ]
    return "\n".join(parts)
