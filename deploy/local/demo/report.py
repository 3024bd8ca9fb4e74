"""The demo's summary: every day, the totals, the durations of the steps, and the same walk by hand."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.table import Table

from deploy.local.demo.steps import pluralize
from deploy.local.demo.walkthrough import PROFILES

if TYPE_CHECKING:
    from rich.console import Console

    from deploy.local.demo.comparison import DemoResult
    from deploy.local.demo.steps import StepPrinter

DATASET: Final = "eks-consumption-raw"  # that `exhaust` asks for when it is told no other
STEP_WIDTH: Final = 66  # leaves room for the seconds on a terminal of 80 columns


def show_summary(console: Console, outcome: DemoResult, steps: StepPrinter, stack: Path) -> None:
    """Print all but the last lines; `stack` is the folder that keeps the demo's servers and their data."""
    console.print()
    console.print(_days(outcome))
    console.print(_durations(steps))
    console.print("By hand, on the same telemetry:", style="bold")
    console.print(_by_hand(outcome, stack), markup=False, highlight=False, soft_wrap=True)
    console.print()


def result_line(outcome: DemoResult) -> tuple[bool, str]:
    """Return whether every day matched, and a line that says so or names the first difference."""
    events, size = sum(day.events for day in outcome.days), sum(day.bytes for day in outcome.days)
    totals = f"{pluralize(len(outcome.days), 'day')}, {pluralize(events, 'event')}, {pluralize(size, 'byte')}"
    for day in outcome.days:
        if day.difference:
            return False, f"{totals}: NOT as the independent count. First difference: {day.difference}"
    return True, f"{totals}: every day matches the independent count"


def console_line(address: str, stack: Path) -> str:
    """Return a line about the console: its address, what it shows, and how to have it there again."""
    python = Path(os.path.relpath(sys.executable))
    start = f"{python} -m deploy.local up --folder {shlex.quote(str(stack))}"
    return f"Console: {address}/now shows what waits, why, and what to do; `{start}` starts it again"


def _days(outcome: DemoResult) -> Table:
    table = Table(title=f"{DATASET} of {outcome.owner.kind} {outcome.owner.identifier}", title_justify="left")
    table.add_column("day")
    table.add_column("events", justify="right")
    table.add_column("bytes", justify="right")
    table.add_column("unreadable lines", justify="right")
    table.add_column("independent count")
    for day in outcome.days:
        same = "differs" if day.difference else "matches"
        table.add_row(day.day, f"{day.events:,}", f"{day.bytes:,}", f"{day.unreadable:,}", same)
    return table


def _durations(steps: StepPrinter) -> Table:
    table = Table(title="How long each step took", title_justify="left")
    table.add_column("step", no_wrap=True, max_width=STEP_WIDTH)
    table.add_column("seconds", justify="right")
    for title, taken in steps.durations:
        table.add_row(title, f"{taken.total_seconds():.1f}")
    return table


def _by_hand(outcome: DemoResult, stack: Path) -> str:
    dates = outcome.finished[-1].dates
    python = Path(os.path.relpath(sys.executable))
    folder = shlex.quote(str(stack))
    exhaust = python.with_name("exhaust")
    profiles = shlex.quote(str(stack.parent / PROFILES))
    return "\n".join(
        [
            f"{python} -m deploy.local up --folder {folder}",
            f"export EXHAUST_PROFILES_FILE={profiles}   # the license key of this demo",
            f"{exhaust} get --from {dates.first} --to {dates.last} -o data",
            f"{exhaust} read data | head -1",
            f"{python} -m deploy.local down --folder {folder}",
        ]
    )
