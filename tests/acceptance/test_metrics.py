"""What the processes export and log, beside the catalogue, while requests are accepted, refused, and end."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

import pytest
from prometheus_client.parser import text_string_to_metric_families

from exhaust.metrics.catalogue import METRICS
from exhaust.metrics.metric import Process
from tests.acceptance.conftest import FIRST, FOLDER, PLAN
from tests.support.metrics_page import objections
from tests.support.partner import Partner, resource_of
from tests.support.promtool import promtool

if TYPE_CHECKING:
    import aiohttp

    from deploy.local.stack import Stack

DATASET: Final = "eks-consumption-raw"
EVENT: Final = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)+")
TYPE: Final = re.compile(r"^# TYPE (\S+) (\S+)$", re.MULTILINE)
Samples = dict[str, dict[tuple[tuple[str, str], ...], float]]


async def scrape(http: aiohttp.ClientSession, stack: Stack, process: Process) -> str:
    listeners = {
        Process.GATEWAY: stack.gateway_internal,
        Process.AGGREGATOR: stack.aggregator_internal,
        Process.STATUS: stack.status_internal,
        Process.CONSOLE: stack.console,
    }
    async with http.get(f"{listeners[process]}/metrics") as answer:
        assert answer.status == 200
        assert answer.headers["Content-Type"].startswith("text/plain")
        return await answer.text()


def samples_of(text: str) -> Samples:
    found: defaultdict[str, dict[tuple[tuple[str, str], ...], float]] = defaultdict(dict)
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found[sample.name][tuple(sorted(sample.labels.items()))] = sample.value
    return dict(found)


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples[name][tuple(sorted(labels.items()))]


@pytest.fixture
async def request_ids(partner: Partner, raw_days: dict[str, dict[str, bytes]]) -> tuple[str, str]:
    """One that is complete, and one that is cancelled; and calls that were refused."""
    assert raw_days
    owner = PLAN.partner_ids[0]
    await partner.grant(owner)
    path = f"{DATASET}/{resource_of(owner)}/{FIRST}/{FIRST}"
    done = (await partner.submit(path, partner_id=owner)).result["requestid"]
    assert (await partner.finished(done))["status"] == "complete"
    assert (await partner.submit(path, partner_id=owner, username=None)).status == 400
    span = f"{DATASET}/{resource_of(owner)}/2026-07-01/2026-07-31"
    cancelled = (await partner.submit(span, partner_id=owner)).result["requestid"]
    url = f"{partner.stack.gateway}/v2/datasets/requests/status/{cancelled}"
    async with partner.http.delete(url, json={"request": {"licenseKey": partner.license_key}}) as answer:
        assert answer.status in {200, 409}, await answer.text()
        return done, cancelled


@pytest.mark.parametrize("process", Process)
async def test_a_process_exports_what_the_catalogue_says_and_nothing_else(
    http: aiohttp.ClientSession, stack: Stack, request_ids: tuple[str, str], process: Process
) -> None:
    assert request_ids
    text = await scrape(http, stack, process)
    wanted = {metric.name: metric for metric in METRICS if process in metric.processes}
    assert dict(TYPE.findall(text)) == {name: metric.kind.value for name, metric in wanted.items()}
    assert objections(promtool("check", "metrics", stdin=text).text) == []
    assert "_created" not in text
    samples = samples_of(text)
    for name, metric in wanted.items():
        exported = [dict(labels) for labels in samples.get(name, {})]
        assert all(labels.keys() == metric.labels.keys() for labels in exported), name
        for label, values in metric.labels.items():
            assert not values or {labels[label] for labels in exported} <= set(values), name
    assert value(samples, "exhaust_ready") == 1
    assert len(samples["exhaust_build_info"]) == 1


async def test_what_happens_is_counted_where_operators_look(
    http: aiohttp.ClientSession, stack: Stack, request_ids: tuple[str, str]
) -> None:
    assert request_ids
    gateway, aggregator, status, console = [samples_of(await scrape(http, stack, process)) for process in Process]
    submits = {"operation": "submit", "version": "v2"}
    calls = sum(
        count
        for labels, count in gateway["exhaust_http_requests_total"].items()
        if submits.items() <= dict(labels).items()
    )
    assert value(gateway, "exhaust_http_requests_total", **submits, status="400") >= 1
    assert value(gateway, "exhaust_http_requests_total", **submits, status="503") == 0
    assert value(gateway, "exhaust_http_request_seconds_count", **submits) == calls
    assert value(gateway, "exhaust_http_request_seconds_bucket", **submits, le="0.5") <= calls
    assert value(gateway, "exhaust_dependency_seconds_count", dependency="postgres", operation="statement") > 0
    assert value(gateway, "exhaust_dependency_seconds_count", dependency="kafka", operation="send") > 0
    assert value(gateway, "exhaust_last_success_timestamp_seconds", what="relay") > 0
    assert value(aggregator, "exhaust_dependency_seconds_count", dependency="s3", operation="list") > 0
    assert value(aggregator, "exhaust_day_seconds_count") > 0
    assert value(aggregator, "exhaust_last_success_timestamp_seconds", what="commits dataset.days") > 0
    ended = {"dataset": DATASET, "outcome": "complete", "code": ""}
    assert value(status, "exhaust_requests_ended_total", **ended) >= 1
    assert value(status, "exhaust_requests_ended_total", dataset=DATASET, outcome="failed", code="NO_PROGRESS") == 0
    assert value(status, "exhaust_requests_reaped_total", outcome="failed") == 0
    assert value(status, "exhaust_request_seconds_count") >= 1
    assert value(status, "exhaust_dead_letters_total", topic="dataset.completions", code="SCHEMA") == 0
    assert value(console, "exhaust_last_success_timestamp_seconds", what="sampler") > 0


def log_of(process: Process) -> list[dict[str, Any]]:
    lines = (FOLDER / "logs" / f"{process}.log").read_text().splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]


def entries_of(log: list[dict[str, Any]], event: str, request_id: str) -> list[dict[str, Any]]:
    """The log entries about a request."""
    return [entry for entry in log if entry.get("event") == event and entry.get("request_id") == request_id]


async def outcome_of(request_id: str) -> str:
    """The outcome that the log tells once: of a cancelled request when its workers were told."""
    async with asyncio.timeout(30):
        for pause in itertools.repeat(0.2):
            if ends := entries_of(log_of(Process.STATUS), "request.ended", request_id):
                [end] = ends
                return str(end["outcome"])
            await asyncio.sleep(pause)
    raise AssertionError(request_id)


async def test_logs_name_events_alone_and_tell_the_way_of_a_request(
    partner: Partner, request_ids: tuple[str, str]
) -> None:
    done, cancelled = request_ids
    logs = {process: log_of(process) for process in Process}
    for process, entries in logs.items():
        for entry in entries:
            told = (entry["message"], entry["logger"]) if "event" not in entry else ()
            assert told or EVENT.fullmatch(entry["event"]), (process, entry)
            assert entry["service"] == process
            assert partner.license_key not in json.dumps(entry)
            assert PLAN.partner_ids[0] not in json.dumps(entry)

    def find(process: Process, event: str, request_id: str) -> dict[str, Any]:
        [found] = entries_of(logs[process], event, request_id)
        return found

    accepted = find(Process.GATEWAY, "request.accepted", done)
    released = find(Process.GATEWAY, "request.released", done)
    ended = find(Process.STATUS, "request.ended", done)
    assert len({entry["trace_id"] for entry in (accepted, released, ended)}) == 1
    assert {entry["dataset"] for entry in (accepted, released, ended)} == {DATASET}
    assert (ended["outcome"], ended["code"]) == ("complete", "")
    assert 0 <= released["seconds"] <= ended["seconds"]
    assert find(Process.GATEWAY, "request.accepted", cancelled)["days"] == 31
    assert await outcome_of(cancelled) in {"cancelled", "complete"}
    refused = [entry for entry in logs[Process.GATEWAY] if entry.get("event") == "request.refused"]
    assert ("MISSING_USERNAME", 400, "submit", "v2") in {
        (entry["code"], entry["status"], entry.get("operation"), entry.get("api")) for entry in refused
    }
