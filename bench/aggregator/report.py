"""The report of the benchmark, on the terminal and as docs/benchmarks.md."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from admin.tables import print_table
from bench.aggregator.results import COLUMNS, MEMORY_COLUMNS, PROCESSOR_COLUMNS
from bench.aggregator.stages import STAGES
from bench.report import bars_section, circumstances, print_bars, table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bench.aggregator.results import Results

_HOW: Final = """\
Made by `make bench`; do not edit. Seconds are medians; ratios are medians over rounds in which both took turns.

- The data is made up and always the same: events of about 1 KB from 20 channels, gzip objects as zlib's level 6 gives
  them. MB/s count JSON lines that went in, or bytes of objects where nothing is inflated.
- Every bar compares times without the start of a process: our worker runs already, as in production, and a peer's clock
  begins when it has started. What a peer reads from the disk instead of from S3 is to its advantage.
- "right" means: the same lines as gzip, json and zipfile give, those of each object in order.
- Memory is the highest sum of PSS over the worker's process and its children, looked at every 50 ms in
  rounds whose time does not count.
- Where the time goes is told twice: by process, as seconds of processors in the same rounds, a peer's with its start;
  and by stage of a scan, as milliseconds for one object of 55 MB of lines that is scanned alone, from samples of every
  millisecond.
"""


def show_results(results: Results) -> None:
    """Print tables on a terminal, or lines with tabs in a pipe; the verdict is last."""
    print_table(COLUMNS, [row.cells for row in results.rows])
    print()
    print_table(MEMORY_COLUMNS, [seen.cells for seen in results.memory])
    print()
    print_table(PROCESSOR_COLUMNS, _processor_rows(results))
    print()
    print_table(*_stage_table(results))
    print()
    print_bars(results.bars)


def markdown(results: Results, rounds: int, machine: Mapping[str, str], versions: Mapping[str, str]) -> str:
    """Return the text of docs/benchmarks.md."""
    parts = [
        "# Benchmarks\n",
        _HOW,
        circumstances(rounds, machine, versions),
        bars_section(results.bars),
        "## Contenders\n",
        table(COLUMNS, [row.cells for row in results.rows]),
        "## Memory of our worker\n",
        table(MEMORY_COLUMNS, [seen.cells for seen in results.memory]),
        "## Where the time goes\n",
        table(PROCESSOR_COLUMNS, _processor_rows(results)),
        table(*_stage_table(results)),
    ]
    return "\n".join(parts)


def _processor_rows(results: Results) -> list[tuple[str, ...]]:
    return [row.processor_cells for row in results.rows if row.processors]


def _stage_table(results: Results) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return columns and rows: a row for each stage, a column for each kind of selection."""
    stages = [stage for stage in STAGES if any(stage in taken for taken in results.stages.values())]
    rows = [(stage, *(f"{taken.get(stage, 0):.0f}" for taken in results.stages.values())) for stage in stages]
    total = ("all", *(f"{sum(taken.values()):.0f}" for taken in results.stages.values()))
    return ("stage, in ms", *results.stages), [*rows, total]
