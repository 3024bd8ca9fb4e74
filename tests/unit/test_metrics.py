"""The catalogue of metrics: whole, written down, and the only source of metrics."""

import ast
import re
from pathlib import Path

import pytest
from prometheus_client import Counter, Gauge

from exhaust.kafka.positions import OffsetReset
from exhaust.kafka.records import RejectionCode
from exhaust.lag.stages import Stage
from exhaust.metrics import catalogue
from exhaust.metrics.catalogue import METRICS
from exhaust.metrics.metric import Kind, Process
from exhaust.metrics.registry import MetricRegistry, UnknownMetricError, family
from exhaust.postgres.lag import STATES
from exhaust.postgres.retention import Prunable
from tests.conftest import ROOT
from tests.support.metrics_page import PAGE, TITLES, objections, page
from tests.support.promtool import promtool

MADE_HERE = ROOT / "exhaust" / "metrics"
PERSONS = {"partner", "partnerid", "client", "user", "username", "key", "request", "request_id", "resource"}


def whole() -> MetricRegistry:
    """A registry with every metric, and a value in each histogram."""
    registry = MetricRegistry()
    registry.collect_process()
    for metric in METRICS:
        if metric.name.startswith("process_"):
            continue
        values = next(metric.each(), tuple("x" for _ in metric.labels))
        if metric.kind is Kind.HISTOGRAM:
            made = registry.histogram(metric)
            (made.labels(*values) if metric.labels else made).observe(1)
        elif metric.kind is Kind.COUNTER:
            registry.counter(metric, [values] if metric.labels else [])
        else:
            registry.gauge(metric, [values] if metric.labels else [])
    return registry


def test_promtool_has_nothing_to_object_to() -> None:
    assert objections(promtool("check", "metrics", stdin=whole().text().decode()).text) == []


def test_no_series_tells_when_it_began() -> None:
    assert "_created" not in whole().text().decode()


def test_each_metric_is_described_once() -> None:
    assert len({metric.name for metric in METRICS}) == len(METRICS)
    for metric in METRICS:
        assert metric.help.endswith("."), metric.name
        assert (metric.kind is Kind.COUNTER) == metric.name.endswith("_total"), metric.name
        assert (metric.kind is Kind.HISTOGRAM) == bool(metric.buckets), metric.name
        assert metric.processes in TITLES, metric.name


def test_no_label_is_a_person() -> None:
    assert {label for metric in METRICS for label in metric.labels} & PERSONS == set()


def test_histograms_have_few_buckets() -> None:
    assert {metric.name: len(metric.buckets) for metric in METRICS if len(metric.buckets) > 12} == {}
    assert catalogue.DAY_SECONDS.buckets[0] == 0.05
    assert catalogue.DAY_SECONDS.buckets[-1] == 3600
    assert catalogue.SUBMIT_TARGET in catalogue.HTTP_SECONDS.buckets


@pytest.mark.parametrize(
    ("known", "wanted"),
    [
        (catalogue.DEAD_LETTERS.labels["code"], RejectionCode),
        (catalogue.OFFSET_RESETS.labels["reason"], OffsetReset),
        (catalogue.STAGE_WAITING.labels["stage"], Stage),
        (catalogue.ROWS_PRUNED.labels["what"], Prunable),
        (catalogue.REQUESTS_OPEN.labels["state"], STATES),
    ],
    ids=["codes", "resets", "stages", "prunable", "states"],
)
def test_label_values_are_those_of_the_code(known: tuple[str, ...], wanted: tuple[str, ...]) -> None:
    assert set(known) == {str(value) for value in wanted}


def test_what_the_catalogue_does_not_have_cannot_be_made() -> None:
    registry = MetricRegistry()
    with pytest.raises(UnknownMetricError, match="exhaust_new"):
        Counter("exhaust_new", "New.", registry=registry)
    with pytest.raises(UnknownMetricError, match="gauge exhaust_day_seconds"):
        Gauge("exhaust_day_seconds", "As another kind.", registry=registry)
    with pytest.raises(UnknownMetricError, match="no counter exhaust_ready"):
        registry.counter(catalogue.READY)


def test_a_metric_is_made_once_and_shared() -> None:
    registry = MetricRegistry()
    registry.counter(catalogue.RETRIES).labels("kafka").inc()
    registry.counter(catalogue.RETRIES).labels("kafka").inc()
    assert registry.get_sample_value("exhaust_retries_total", {"dependency": "kafka"}) == 2
    assert registry.get_sample_value("exhaust_retries_total", {"dependency": "s3"}) == 0


def test_a_collector_has_only_families_of_the_catalogue() -> None:
    registry = MetricRegistry()
    figures = family(catalogue.STAGE_WAITING)
    figures.add_metric(["plan"], 7)
    registry.collect_from([catalogue.STAGE_WAITING], lambda: [figures])
    assert registry.get_sample_value("exhaust_stage_waiting", {"stage": "plan"}) == 7


def test_only_the_registry_makes_metrics() -> None:
    """Elsewhere the library is imported for types alone."""
    found = []
    for folder in ("exhaust", "services", "admin"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if path.parent != MADE_HERE:
                found += [f"{path.relative_to(ROOT)}: {name}" for name in imported_at_run_time(path)]
    assert found == []


def imported_at_run_time(path: Path) -> list[str]:
    modules = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.Import | ast.ImportFrom)]
    names = [alias.name for node in modules if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in modules if isinstance(node, ast.ImportFrom)]
    return [name for name in names if name.split(".")[0] == "prometheus_client"]


def test_the_page_is_written_from_the_catalogue() -> None:
    assert PAGE.read_text() == page(), "run `make metrics-page`"


def test_pages_name_metrics_that_exist() -> None:
    known = {metric.name for metric in METRICS}
    known |= {f"{metric.name}_{part}" for metric in METRICS if metric.buckets for part in ("bucket", "sum", "count")}
    beginnings = r"http|relay|dead_letters|offset|consumer|records|partitions|dependency|day|days|stage|topic|group"
    named = re.compile(rf"`(exhaust_(?:{beginnings}|requests|request|sample|ready|rows|build|last|retries)[a-z_]*)")
    for path in sorted([*(ROOT / "docs").rglob("*.md"), ROOT / "README.md"]):
        assert set(named.findall(path.read_text())) <= known, path


def test_every_process_has_metrics_of_its_own() -> None:
    for process in Process:
        assert any(metric.processes == (process,) for metric in METRICS)
