"""Bars for requests that are waited for, and downloads that run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from telemetry_exhaust.fetching import Watcher

if TYPE_CHECKING:
    from telemetry_exhaust.api import Status
    from telemetry_exhaust.output import Output


def bar_watcher(output: Output, label: str) -> Watcher:
    """Return a watcher that draws a bar with a label."""

    def status(seen: Status) -> None:
        output.bar(f"{label} built", seen.days_done, seen.days_total)

    def size(done: int, total: int) -> None:
        output.bar(label, done, total, size=True)

    return Watcher(status, size)
