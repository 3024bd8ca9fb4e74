"""What the modest caller feels: status reads and a small download, alone and beside the greedy one, in turns."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from http.client import HTTPConnection
from os import urandom
from statistics import median
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from pydantic import SecretStr

from bench.bars import Bar, at_most
from bench.errors import BenchError
from bench.gateway.calls import READ, status_reads, submits
from bench.gateway.download import FINISHED
from bench.gateway.load_generator import CallStats, call_all, call_for
from bench.gateway.testbed import DATASET, PARTNERS, days
from bench.progress import report_progress
from bench.s3_client import S3Client
from bench.shares.crowd import greedy_caller
from bench.store import Store
from exhaust.postgres.grants import Grant, GrantStore
from exhaust.postgres.license_keys import KeyStore
from telemetry.resource_ids import resource_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.gateway.testbed import Service, Testbed

ROUNDS: Final = 4
ROUND: Final = timedelta(seconds=3)
DOWNLOADS: Final = 20  # a round
CONNECTIONS: Final = 2
SMALL: Final = 300_000
LARGE: Final = 24 * 1024 * 1024
MOST_SLOWDOWN: Final = 2.0
PERCENTILE: Final = 99
_MODEST: Final = ("modest", "modest")
_OK: Final = 200


@dataclass(slots=True)
class Felt:
    """What the modest caller felt: a figure for each round, in seconds."""

    statuses: list[float] = field(default_factory=list)
    downloads: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class SharesResult:
    """What the modest caller felt alone, and beside the greedy one."""

    alone: Felt
    beside: Felt

    def bars(self) -> list[Bar]:
        """Return the slowdowns with their limits, each the median over the rounds, so that noise hits both alike."""
        return [
            _bar("status p99", self.alone.statuses, self.beside.statuses),
            _bar("300 KB download", self.alone.downloads, self.beside.downloads),
        ]


def _bar(name: str, alone: list[float], beside: list[float]) -> Bar:
    told = f"{name}: {median(alone) * 1000:.1f} ms alone, {median(beside) * 1000:.1f} ms beside"
    slowdown = median(crowded / quiet for quiet, crowded in zip(alone, beside, strict=True))
    return at_most(told, slowdown, MOST_SLOWDOWN, "x")


async def measure_shares(testbed: Testbed) -> SharesResult:
    """Measure in turns, alone and beside the greedy caller.

    Raises:
        BenchError: a call of the modest caller was refused.
    """
    greedy = testbed.gateway
    modest = await _modest(testbed)
    large, small = PARTNERS[0], PARTNERS[1]
    await _put_download(testbed, greedy, large, LARGE)
    await _put_download(testbed, modest, small, SMALL)
    reads = await status_reads(modest)
    held = json.loads((await call_all(greedy.address, [submits(greedy)()])).bodies[0])["result"]["requestid"]
    result = SharesResult(Felt(), Felt())
    for _ in range(ROUNDS):
        await _feel(modest, reads.__next__, small, result.alone)
        async with greedy_caller(greedy.address, greedy.license_key, held, _path(large)) as crowd:
            report_progress(f"beside {crowd.polls} long polls and {crowd.readers} slow readers that were not refused")
            await _feel(modest, reads.__next__, small, result.beside)
    return result


async def _feel(modest: Service, next_read: Callable[[], bytes], partner: str, felt: Felt) -> None:
    statuses: CallStats = await call_for(modest.address, ROUND, next_read, connections=CONNECTIONS)
    statuses.check(READ)
    felt.statuses.append(statuses.percentile(PERCENTILE))
    felt.downloads.append(median([await asyncio.to_thread(_download, modest, partner) for _ in range(DOWNLOADS)]))


async def _modest(testbed: Testbed) -> Service:
    """Register the modest caller, who may read for all partners."""
    tables = testbed.gateway.owner
    peppers = json.loads(testbed.environment["EXHAUST_LICENSE_KEY_PEPPERS"])
    keys = KeyStore(tables, {int(version): SecretStr(pepper) for version, pepper in peppers.items()})
    license_key = await keys.register(*_MODEST)
    grants = GrantStore(tables)
    for partner in PARTNERS:
        await grants.add(Grant(*_MODEST, resource_id(partner)), actor="operator/bench")
    client = await keys.find_client(*_MODEST)
    return replace(testbed.gateway, license_key=license_key, user_id=client.user_id)


async def _put_download(testbed: Testbed, service: Service, partner: str, size: int) -> None:
    """File a finished download of random bytes, which are not a zip: the gateway does not look at them."""
    s3, data, request_id = testbed.stack.s3, urandom(size), uuid4()
    key = f"requests/bench/{request_id}.zip"
    S3Client(Store(s3.endpoint, s3.access_key, s3.secret_key)).put(s3.exhaust_bucket, key, [data], size)
    outcome = {"key": key, "digest": hashlib.sha256(data).hexdigest()}
    day = date.fromisoformat(days()[0])
    async with service.owner.transaction() as connection:
        await connection.execute(
            FINISHED, request_id, service.user_id, partner, DATASET, resource_id(partner), day, outcome
        )


def _path(partner: str) -> str:
    first, last = days()
    return f"/v1/datasets/{DATASET}/{resource_id(partner)}/{first}/{last}"


def _download(service: Service, partner: str) -> float:
    connection = HTTPConnection(service.address.host, service.address.port, timeout=60)
    started = time.perf_counter()
    connection.request("GET", _path(partner), headers={"X-API-Key": service.license_key})
    answer = connection.getresponse()
    body = answer.read()
    seconds = time.perf_counter() - started
    connection.close()
    if answer.status != _OK or len(body) != SMALL:
        raise BenchError(f"the small download was answered with {answer.status} and {len(body)} bytes: {body[:300]!r}")
    return seconds
