"""The reports of benchmarks: bars on a terminal, tables in Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from admin.tables import print_table
from bench.bars import verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.bars import Bar

BAR_COLUMNS: Final = ("bar", "measured", "limit", "verdict")


def print_bars(bars: Sequence[Bar]) -> None:
    """Print a table on a terminal, tab-separated lines in a pipe; the verdict is last."""
    print_table(BAR_COLUMNS, [bar.row for bar in bars])
    print()
    print(verdict(bars))


def bars_section(bars: Sequence[Bar]) -> str:
    """Return the bars and the verdict in Markdown."""
    return f"## Bars\n\n{table(BAR_COLUMNS, [bar.row for bar in bars])}\n**{verdict(bars)}**\n"


def circumstances(rounds: int, machine: Mapping[str, str], versions: Mapping[str, str]) -> str:
    """Return rounds, machine and versions in Markdown."""
    ran = ", ".join(f"{name} {value}" for name, value in machine.items())
    measured = ", ".join(f"{name} {value}" for name, value in versions.items())
    return f"{rounds} rounds. {ran}.\n\nVersions: {measured}.\n"


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)
