"""Submits and status reads of the gateway, alternating with those of the bare service."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count, cycle
from statistics import median
from typing import TYPE_CHECKING, Final

from bench.gateway.load_generator import CallStats, call_all, call_for, post
from bench.gateway.testbed import DATASET, PARTNERS, days
from telemetry.resource_ids import resource_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.gateway.testbed import Service, Testbed

ROUNDS: Final = 5
ROUND: Final = timedelta(seconds=3)
SUBMITTED: Final = 202
READ: Final = 200
STATUS_REQUESTS: Final = 1000  # read in turn


@dataclass(slots=True)
class Comparison:
    """The rounds of both services, in the order in which they ran."""

    gateway: list[CallStats] = field(default_factory=list)
    bare: list[CallStats] = field(default_factory=list)

    @property
    def share(self) -> float:
        """The gateway's calls a second, in percent of the bare service's; the median of the rounds."""
        pairs = zip(self.gateway, self.bare, strict=True)
        return median(100 * ours.per_second / theirs.per_second for ours, theirs in pairs)


async def compare_submits(testbed: Testbed) -> Comparison:
    """Compare submits, each of which files a new request; every round begins with empty tables."""
    comparison = Comparison()
    for _ in range(ROUNDS):
        for service, rounds in ((testbed.gateway, comparison.gateway), (testbed.bare, comparison.bare)):
            rounds.append(await call_for(service.address, ROUND, submits(service)))
            rounds[-1].check(SUBMITTED)
            await service.delete_requests()
    return comparison


async def compare_statuses(testbed: Testbed) -> Comparison:
    """Compare status reads of requests in progress, as partners poll them."""
    comparison = Comparison()
    reads = {service.name: await status_reads(service) for service in (testbed.gateway, testbed.bare)}
    for _ in range(ROUNDS):
        for service, rounds in ((testbed.gateway, comparison.gateway), (testbed.bare, comparison.bare)):
            rounds.append(await call_for(service.address, ROUND, reads[service.name].__next__))
            rounds[-1].check(READ)
    return comparison


def submits(service: Service) -> Callable[[], bytes]:
    """Return a function that makes submits, each for another request, for one partner after the other."""
    first, last = days()
    wanted = [
        (f"/v2/datasets/{DATASET}/{resource_id(partner)}/{first}/{last}?tags[]=", _body(service, partnerid=partner))
        for partner in PARTNERS
    ]
    numbered = zip(cycle(wanted), count(), strict=False)

    def next_submit() -> bytes:
        (path, body), number = next(numbered)
        return post(f"{path}{number}", body)

    return next_submit


async def status_reads(service: Service) -> cycle[bytes]:
    """Submit STATUS_REQUESTS requests, and return an endless cycle of status reads of them."""
    submit = submits(service)
    filed = await call_all(service.address, [submit() for _ in range(STATUS_REQUESTS)])
    ids = [json.loads(body)["result"]["requestid"] for body in filed.bodies]
    body = _body(service)
    return cycle([post(f"/v2/datasets/requests/status/{request_id}", body) for request_id in ids])


def _body(service: Service, **more: str) -> bytes:
    return json.dumps({"request": {"licenseKey": service.license_key, "username": "bench", **more}}).encode()
