"""The measurement of latency: from the submit of a one-day request of 10,000 events to its `complete`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from datetime import date
from http.client import HTTPConnection
from statistics import median
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from bench.aggregator.generated_data import Recipe, blocks, day_objects, days_from
from bench.aggregator.results import Row
from bench.aggregator.testbed import CHANNEL, RESOURCE, SHARED, SHARED_PREFIX
from bench.bars import at_most
from bench.errors import BenchError
from bench.progress import report_progress
from deploy.local.stack import start_stack

if TYPE_CHECKING:
    from pathlib import Path

    from bench.aggregator.results import Results
    from bench.aggregator.testbed import Testbed

FIRST: Final = date(2024, 5, 1)
OBJECTS: Final = 2
EVENTS: Final = 10_000
FRESH_MS: Final = 700
BUILT_MS: Final = 200
ROUNDS: Final = 10
_TIMEOUT_S: Final = 60
_ERRORS_FROM: Final = 400


def measure(testbed: Testbed, results: Results, cache: Path) -> None:
    """Measure requests for days that are not built yet, and each of them again.

    Args:
        testbed: the servers, the data and our worker.
        results: gets the result.
        cache: folder for the blocks of these days, all of whose events are the partner's.
    """
    report_progress("starting the services")
    stack = start_stack(testbed.folder / "stack", services=True, stop_at_exit=True)
    made = blocks(cache, OBJECTS, Recipe(EVENTS // OBJECTS, (CHANNEL,)))
    days = days_from(FIRST, 1 + ROUNDS)
    for day in days:
        testbed.upload(SHARED_PREFIX, day_objects(day, made, OBJECTS))
    report_progress(f"submit to complete, {EVENTS:,} events, {ROUNDS} times")
    partner = _Partner(stack.gateway, stack.postgres)
    taken = [(partner.wait_for(day), partner.wait_for(day)) for day in days][1:]
    fresh, built = tuple(first for first, _ in taken), tuple(second for _, second in taken)
    raw = sum(block.raw for block in made)
    task = f"request of a day of {EVENTS:,} events"
    results.rows += [
        Row(task, "ours, day not built", "submit → complete", fresh, raw),
        Row(task, "ours, day built", "submit → complete", built, raw),
    ]
    results.bars += [
        at_most(f"one-day request of {EVENTS:,} events", 1000 * median(fresh), FRESH_MS, "ms"),
        at_most("the same, day already built", 1000 * median(built), BUILT_MS, "ms"),
    ]


class _Partner:
    """A partner with a license key, and the grant that an operator gave. Raises BenchError when a call fails."""

    def __init__(self, gateway: str, postgres: str) -> None:
        self._connection = HTTPConnection(urlsplit(gateway).netloc, timeout=_TIMEOUT_S)
        key = self._post("/v1/client", {"clientName": "bench", "licenseKeyName": "bench"})["licenseKey"]
        self._who = {"licenseKey": key, "partnerid": CHANNEL, "username": "bench"}
        command = (sys.executable, "-m", "admin.command", "grant", "--client", "bench", "--key-name", "bench")
        environment = os.environ | {"EXHAUST_POSTGRES_OWNER_DSN": postgres}
        subprocess.run([*command, "--channel", CHANNEL], env=environment, check=True, stdout=subprocess.DEVNULL)

    def wait_for(self, day: date) -> float:
        """Submit a request for a day; return the seconds until its status is complete."""
        started = time.perf_counter()
        request = self._post(f"/v2/datasets/{SHARED}/{RESOURCE}/{day}/{day}", self._who)["requestid"]
        while True:
            status = self._post(f"/v2/datasets/requests/status/{request}?wait=30", self._who)
            if status["status"] != "inprogress":
                break
        seconds = time.perf_counter() - started
        events = status.get("events", status.get("progress", {}).get("events"))
        if status["status"] != "complete" or events != EVENTS:
            raise BenchError(f"request for {day} ended {status['status']} with {events} events: {status.get('error')}")
        return seconds

    def _post(self, path: str, request: dict[str, Any]) -> dict[str, Any]:
        body = json.dumps({"request": request})
        self._connection.request("POST", path, body, {"Content-Type": "application/json"})
        answer = self._connection.getresponse()
        text = answer.read()
        if answer.status >= _ERRORS_FROM:
            raise BenchError(f"POST {path} answered {answer.status}: {text[:300].decode()}")
        result: dict[str, Any] = json.loads(text)["result"]
        return result
