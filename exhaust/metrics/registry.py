"""The registry of a process, which makes metrics from the catalogue and holds no others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.registry import Collector

from exhaust.metrics import catalogue
from exhaust.metrics.metric import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from prometheus_client.metrics_core import Metric as Exported

    from exhaust.metrics.metric import Metric

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
Made = TypeVar("Made", bound=MetricWrapperBase)
Family = CounterMetricFamily | GaugeMetricFamily


class UnknownMetricError(ValueError):
    """A metric that the catalogue does not have."""


class MetricRegistry(CollectorRegistry):
    """The metrics of one process. Whoever asks for a metric that is made already gets the same."""

    def __init__(self) -> None:
        super().__init__()
        self._made: dict[str, MetricWrapperBase] = {}

    def counter(self, metric: Metric, each: Iterable[Sequence[str]] | None = None) -> Counter:
        """Return a counter, with the series of its label values from the start.

        Args:
            metric: of the catalogue.
            each: those label values; None for all that the catalogue knows.
        """
        made = self._make(Counter, metric, lambda: Counter(*_head(metric), registry=self))
        return self._with_series(made, metric, each)

    def gauge(self, metric: Metric, each: Iterable[Sequence[str]] | None = None) -> Gauge:
        """Return a gauge, as `counter` returns a counter."""
        made = self._make(Gauge, metric, lambda: Gauge(*_head(metric), registry=self))
        return self._with_series(made, metric, each)

    def histogram(self, metric: Metric) -> Histogram:
        """Return a histogram. Its series come with what they measure, since each has a line a bucket."""
        return self._make(Histogram, metric, lambda: Histogram(*_head(metric), buckets=metric.buckets, registry=self))

    def collect_from(self, metrics: Iterable[Metric], collect: Callable[[], Iterable[Family]]) -> None:
        """Have figures collected when they are asked for.

        Args:
            metrics: of the catalogue.
            collect: returns a family of each, made by `family`.
        """
        self.register(_Collected(tuple(metrics), collect))

    def collect_process(self) -> None:
        """Export what the system knows of this process: memory, processor time, open files."""
        ProcessCollector(registry=self)

    def register(self, collector: Collector) -> None:
        """Add a collector.

        Raises:
            UnknownMetricError: it makes a metric that the catalogue does not have.
        """
        described = getattr(collector, "describe", collector.collect)
        for exported in described():
            name = f"{exported.name}_total" if exported.type == Kind.COUNTER else exported.name
            known = catalogue.BY_NAME.get(name)
            if known is None or known.kind != exported.type:
                raise UnknownMetricError(f"exhaust/metrics/catalogue.py has no {exported.type} {name}")
        super().register(collector)

    def collect(self) -> Iterable[Exported]:
        """Return all figures, without the times at which series began: they double all counters, and nobody asks."""
        for exported in super().collect():
            exported.samples = [sample for sample in exported.samples if not sample.name.endswith("_created")]
            yield exported

    def text(self) -> bytes:
        """Return all figures in the text format of Prometheus."""
        return generate_latest(self)

    def _make(self, kind: type[Made], metric: Metric, make: Callable[[], Made]) -> Made:
        made = self._made.get(metric.name)
        if made is None:
            made = self._made[metric.name] = make()
        if not isinstance(made, kind):
            raise UnknownMetricError(f"the catalogue says that {metric.name} is a {metric.kind}")
        return made

    @staticmethod
    def _with_series(made: Made, metric: Metric, each: Iterable[Sequence[str]] | None) -> Made:
        for values in metric.each() if each is None else each:
            made.labels(*values)
        return made


def _head(metric: Metric) -> tuple[str, str, tuple[str, ...]]:
    return metric.name, metric.help, tuple(metric.labels)


def family(metric: Metric) -> Family:
    """Return an empty family of figures, to be filled by a collector."""
    of_kind: dict[Kind, type[Family]] = {Kind.COUNTER: CounterMetricFamily, Kind.GAUGE: GaugeMetricFamily}
    return of_kind[metric.kind](metric.name, metric.help, labels=tuple(metric.labels))


class _Collected(Collector):
    def __init__(self, metrics: Sequence[Metric], collect: Callable[[], Iterable[Family]]) -> None:
        self._metrics = metrics
        self._collect = collect

    def collect(self) -> Iterable[Exported]:
        return self._collect()

    def describe(self) -> Iterable[Exported]:
        return [family(metric) for metric in self._metrics]
