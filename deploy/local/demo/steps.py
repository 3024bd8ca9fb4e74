"""The demo's progress output: a line when a step starts, and one with its outcome and duration."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console


@dataclass(slots=True)
class Step:
    """A step under way; its `outcome` is printed when it ends."""

    title: str
    outcome: str = ""


@dataclass(frozen=True, slots=True)
class StepPrinter:
    """A printer of steps, which keeps their durations in order."""

    console: Console
    durations: list[tuple[str, timedelta]] = field(default_factory=list)

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """Print a step while its block runs. A step that raises has no outcome."""
        step = Step(title)
        started = time.monotonic()
        self.console.print(title, style="bold", markup=False, highlight=False, soft_wrap=True)
        yield step
        taken = timedelta(seconds=time.monotonic() - started)
        self.durations.append((title, taken))
        line = f"  {step.outcome} ({taken.total_seconds():.1f} s)"
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)


def pluralize(number: int, noun: str) -> str:
    """Return a number with its noun: 1 day, 1,200 days."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
