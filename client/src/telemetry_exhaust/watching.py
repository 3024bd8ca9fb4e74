"""Bars for requests that are waited for, and downloads that run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from telemetry_exhaust.fetching import Watcher

if TYPE_CHECKING:
    from telemetry_exhaust.output import Output
    from telemetry_exhaust.status import Status


def bar_watcher(output: Output, label: str) -> Watcher:
    """Return a watcher that draws a bar with a label."""

    def status(seen: Status) -> None:
        status_bar(output, label, seen)

    def size(done: int, total: int) -> None:
        output.bar(label, done, total, size=True)

    return Watcher(status, size, watched=output.terminal)


def status_bar(output: Output, label: str, seen: Status) -> None:
    """Draw how far a request is, in which phase, and when it may end."""
    # The first days take longest to come: until one is there, the phase says more than an empty bar.
    output.bar(f"{label} {seen.phase or 'built'}", seen.days_done, seen.days_total, more=seen.outlook())
