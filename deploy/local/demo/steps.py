"""The demo's progress output: a line when a step starts, and one with its outcome and duration."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Self

from rich.progress import BarColumn, Progress, TextColumn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from deploy.local.demo.public_api import Status


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
        self.console.print(title, style="bold", markup=False)
        yield step
        taken = timedelta(seconds=time.monotonic() - started)
        self.durations.append((title, taken))
        line = f"  {step.outcome} ({taken.total_seconds():.1f} s)"
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)


def pluralize(number: int, noun: str) -> str:
    """Return a number with its noun: 1 day, 1,200 days."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def describe(status: Status) -> str:
    """Return the progress of a request as a sentence."""
    return (
        f"{status.word}: {status.days_done} of {pluralize(status.days_total, 'day')}, "
        f"{pluralize(status.events, 'event')}, {pluralize(status.bytes, 'byte')}"
    )


class RequestProgress:
    """The progress display of one request: a bar on a terminal, a line for each change elsewhere.

    A context manager; the bar goes away at the end of the block.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._last = ""
        self._bar = Progress(
            TextColumn("  "),
            BarColumn(),
            TextColumn("{task.description}", markup=False),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("submitted", total=None)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, status: Status) -> bool:
        """Show a status, and return whether it differs from the last one."""
        words = describe(status)
        if words == self._last:
            return False
        self._last = words
        self._bar.update(self._task, description=words, completed=status.days_done, total=status.days_total or None)
        if not self._console.is_terminal:
            self._console.print(f"  {words}", markup=False, highlight=False, soft_wrap=True)
        return True
