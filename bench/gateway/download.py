"""A synchronous download of 1 GiB, alternating with reads of the same object straight from S3."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass
from datetime import date
from http.client import HTTPConnection
from itertools import repeat
from os import urandom
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from bench.bars import Pairs
from bench.errors import BenchError
from bench.gateway.load_generator import LIMIT
from bench.gateway.testbed import DATASET, PARTNERS, days
from bench.memory import MemoryWatch, resident
from bench.s3_client import CHUNK, S3Client
from bench.store import Store
from telemetry.resource_ids import resource_id

if TYPE_CHECKING:
    from http.client import HTTPResponse

    from bench.gateway.testbed import Testbed

MIB: Final = 1024 * 1024
SIZE: Final = 1024 * MIB
ROUNDS: Final = 5
KEY: Final = "requests/bench/1-GiB.zip"
_OK: Final = 200
# What the gateway asks of a finished request before it answers with its download.
FINISHED: Final = """
INSERT INTO requests (request_id, user_id, partner_id, username, dataset_id, resource, from_date, to_date, tags,
    days_total, synchronous, state, ended_at, outcome)
VALUES ($1, $2, $3, 'bench', $4, $5, $6, $6, '{}', 1, true, 'complete', now(), $7)
"""


@dataclass(frozen=True, slots=True)
class Downloaded:
    """The seconds of both ways, and the bytes by which the gateway's memory grew meanwhile."""

    seconds: Pairs
    added: int


async def put_download(testbed: Testbed) -> None:
    """File a finished download of SIZE bytes, which are not a zip: the gateway does not look at them."""
    chunk = urandom(CHUNK)
    _client(testbed).put(testbed.stack.s3.exhaust_bucket, KEY, repeat(chunk, SIZE // CHUNK), SIZE)
    outcome = {"key": KEY, "digest": hashlib.sha256(chunk).hexdigest()}
    day = date.fromisoformat(days()[0])
    service = testbed.gateway
    async with service.owner.transaction() as connection:
        resource = resource_id(PARTNERS[0])
        await connection.execute(FINISHED, uuid4(), service.user_id, PARTNERS[0], DATASET, resource, day, outcome)


def compare_downloads(testbed: Testbed) -> Downloaded:
    """Download both ways once without counting, then alternate. This blocks for some seconds."""
    gateway = testbed.stack.processes["gateway"]
    with MemoryWatch(lambda: resident(gateway)) as memory:
        turns = [(_download_from_gateway(testbed), _download_from_s3(testbed)) for _ in range(1 + ROUNDS)][1:]
    return Downloaded(Pairs(tuple(ours for ours, _ in turns), tuple(theirs for _, theirs in turns)), memory.added)


def _download_from_gateway(testbed: Testbed) -> float:
    service = testbed.gateway
    first, last = days()
    body = json.dumps({"request": {"licenseKey": service.license_key}})
    connection = HTTPConnection(service.address.host, service.address.port, timeout=LIMIT.total_seconds())
    started = time.perf_counter()
    connection.request(
        "POST",
        f"/v1/datasets/{DATASET}/{resource_id(PARTNERS[0])}/{first}/{last}",
        body,
        {"Content-Type": "application/json"},
    )
    seconds = _read(connection.getresponse(), started)
    connection.close()
    return seconds


def _download_from_s3(testbed: Testbed) -> float:
    client = _client(testbed)
    started = time.perf_counter()
    return _read(client.get(testbed.stack.s3.exhaust_bucket, KEY), started)


def _read(answer: HTTPResponse, started: float) -> float:
    """Read an answer to its end into a reused buffer, and return the seconds since the start."""
    buffer, read = bytearray(CHUNK), 0
    while count := answer.readinto(buffer):
        read += count
    seconds = time.perf_counter() - started
    if answer.status != _OK or read != SIZE:
        raise BenchError(f"the download was answered with {answer.status} and {read} bytes: {bytes(buffer[:300])!r}")
    return seconds


def _client(testbed: Testbed) -> S3Client:
    s3 = testbed.stack.s3
    return S3Client(Store(s3.endpoint, s3.access_key, s3.secret_key))
