"""The operators' page of metrics, written from the catalogue: `python -m tests.support.metrics_page`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from exhaust.metrics.catalogue import METRICS
from exhaust.metrics.metric import Kind, Process

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exhaust.metrics.metric import Metric

PAGE: Final = Path(__file__).parents[2] / "docs" / "operations" / "metrics.md"
HEAD: Final = """\
# Metrics

Each process exports its metrics at `/metrics` of its internal port, the console at its only one, in the text format of
Prometheus. This page is written from `exhaust/metrics/catalogue.py` by `make metrics-page`. What is not in there, no
process can export.

- Names end in base units. Counters end in `_total`, and rates of them see the first time too: every label value that is
  known is there from the start, with 0. No series `_created` is exported.
- No label names a partner, a client or a person.
- What the console could not see is NaN, never 0: it compares with nothing, so no rule fires on it but the one on
  `exhaust_sample_age_seconds`. Several consoles export the same figures, so rules take the `max`.
- A histogram has its buckets, `_sum` and `_count`; its series come when something was measured.
- `promtool check metrics` has one remark, on the two names with `days`: it takes them for a unit of time. Here days of
  telemetry are what is counted. `make check-metrics` accepts this remark and no other.
"""
TITLES: Final = {
    tuple(Process): "Every process",
    (Process.GATEWAY, Process.STATUS): "Gateway and status service",
    (Process.AGGREGATOR, Process.STATUS): "Aggregator and status service",
    (Process.GATEWAY,): "Gateway",
    (Process.AGGREGATOR,): "Aggregator",
    (Process.STATUS,): "Status service",
    (Process.CONSOLE,): "Console",
}


def page() -> str:
    """The text of the page."""
    return "\n".join([HEAD, *(line for who in TITLES for line in _part(who))])


def _part(who: tuple[Process, ...]) -> Iterator[str]:
    yield f"## {TITLES[who]}\n"
    yield "| metric | kind | what it says | labels |"
    yield "| --- | --- | --- | --- |"
    for metric in METRICS:
        if metric.processes == who:
            buckets = " Buckets: " + ", ".join(f"{bound:g}" for bound in metric.buckets) + "." if metric.buckets else ""
            yield f"| `{metric.name}` | {metric.kind} | {metric.help}{buckets} | {_labels(metric)} |"
    yield ""


def _labels(metric: Metric) -> str:
    return "; ".join(
        f"`{name}`" + (": " + ", ".join(value or '""' for value in values) if values else "")
        for name, values in metric.labels.items()
    )


def objections(told: str) -> list[str]:
    """The lines of promtool that are about something else than days of telemetry."""
    days = {metric.name for metric in METRICS if "days" in metric.name.split("_") and metric.kind is not Kind.HISTOGRAM}
    accepted = {f'{name} use base unit "seconds" instead of "days"' for name in days}
    return [line for line in told.splitlines() if line not in accepted]


if __name__ == "__main__":
    PAGE.write_text(page())
