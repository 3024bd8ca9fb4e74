"""Submits and status reads of the gateway, alternating with those of the bare service."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count, cycle
from statistics import median
from typing import TYPE_CHECKING, Final

from bench.gateway.load import Measured, call_all, call_for, post
from bench.gateway.place import DATASET, PARTNERS, days
from telemetry.resource_ids import resource_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.gateway.place import Place, Side

ROUNDS: Final = 5
ROUND: Final = timedelta(seconds=3)
SUBMITTED: Final = 202
READ: Final = 200
STATUS_REQUESTS: Final = 1000  # read in turn


@dataclass(slots=True)
class Compared:
    """The rounds of both services, in the order in which they ran."""

    gateway: list[Measured] = field(default_factory=list)
    bare: list[Measured] = field(default_factory=list)

    @property
    def share(self) -> float:
        """The gateway's calls a second, in percent of the bare service's; the median of the rounds."""
        pairs = zip(self.gateway, self.bare, strict=True)
        return median(100 * ours.per_second / theirs.per_second for ours, theirs in pairs)


async def compare_submits(place: Place) -> Compared:
    """Compare submits, each of which files a new request; every round begins with empty tables."""
    compared = Compared()
    for _ in range(ROUNDS):
        for side, rounds in ((place.gateway, compared.gateway), (place.bare, compared.bare)):
            rounds.append(await call_for(side.address, ROUND, submits(side)))
            rounds[-1].check(SUBMITTED)
            await side.empty()
    return compared


async def compare_statuses(place: Place) -> Compared:
    """Compare status reads of requests in progress, as partners poll them."""
    compared = Compared()
    reads = {side.name: await status_reads(side) for side in (place.gateway, place.bare)}
    for _ in range(ROUNDS):
        for side, rounds in ((place.gateway, compared.gateway), (place.bare, compared.bare)):
            rounds.append(await call_for(side.address, ROUND, reads[side.name].__next__))
            rounds[-1].check(READ)
    return compared


def submits(side: Side) -> Callable[[], bytes]:
    """Return a function that makes submits, each for another request, for one partner after the other."""
    first, last = days()
    wanted = [
        (f"/v2/datasets/{DATASET}/{resource_id(partner)}/{first}/{last}?tags[]=", _body(side, partnerid=partner))
        for partner in PARTNERS
    ]
    numbered = zip(cycle(wanted), count(), strict=False)

    def next_submit() -> bytes:
        (path, body), number = next(numbered)
        return post(f"{path}{number}", body)

    return next_submit


async def status_reads(side: Side) -> cycle[bytes]:
    """Submit STATUS_REQUESTS requests, and return an endless cycle of status reads of them."""
    submit = submits(side)
    filed = await call_all(side.address, [submit() for _ in range(STATUS_REQUESTS)])
    ids = [json.loads(body)["result"]["requestid"] for body in filed.bodies]
    body = _body(side)
    return cycle([post(f"/v2/datasets/requests/status/{request_id}", body) for request_id in ids])


def _body(side: Side, **more: str) -> bytes:
    return json.dumps({"request": {"licenseKey": side.license_key, "username": "bench", **more}}).encode()
