"""Downloads that are broken off and go on, by the programs that people use for it: curl and aria2c."""

import asyncio
import base64
import gzip
import hashlib
import os
import secrets
import shutil
import signal
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import aiohttp
import pytest

from admin.test_issuer import LocalIssuer, mint_token
from deploy.local.stack import Stack
from exhaust.s3.store import ObjectStore
from tests.acceptance.test_v3 import SUBJECT, bind
from tests.support.partner import Partner, resource_of

CHANNEL = "in.example.large"
DAYS = [date(2026, 6, 1) + timedelta(days=number) for number in range(3)]
LINES, LINE_BYTES = 3000, 2000  # a day; random, so that the archive is as large as they are
PATH = f"D001/{resource_of(CHANNEL)}/{DAYS[0]}/{DAYS[-1]}"
CUTS = 20
WAYS = ["v1", "v3", "v3 with a channel", "signed link of v2"]


@dataclass(frozen=True, slots=True)
class Source:
    """Where a download is, what the caller has to show there, and what it must be."""

    url: str
    headers: dict[str, str]
    sha256: str
    size: int


def day_object() -> bytes:
    """Telemetry that deflate cannot make smaller."""
    event = '{"eid": "ME", "ver": "3.0", "context": {"channel": "%s"}, "x": "%s"}\n'
    lines = (event % (CHANNEL, base64.b64encode(os.urandom(LINE_BYTES)).decode()) for _ in range(LINES))
    return gzip.compress("".join(lines).encode(), 1)


@pytest.fixture(scope="module")
async def large(
    stack: Stack, http: aiohttp.ClientSession, objects: ObjectStore, issuer: LocalIssuer
) -> dict[str, Source]:
    """An archive of many megabytes, by the ways that lead to it."""
    for day in DAYS:
        name = f"public/{resource_of(CHANNEL)}/{day}-1780272000000.json.gz"
        await objects.put(stack.s3.raw_bucket, name, day_object())
    partner = await Partner.register(http, stack)
    await partner.grant(CHANNEL)
    await bind(stack, issuer, partner)
    submitted = await partner.submit(PATH, partner_id=CHANNEL)
    result = await partner.finished(submitted.result["requestid"])
    whole = await partner.download(result)
    v3 = f"{stack.gateway}/data/v3/datasets/{PATH}"
    key = {"X-API-Key": partner.license_key}
    found = {
        "v1": (f"{stack.gateway}/v1/datasets/{PATH}", key),
        "v3": (v3, {"Authorization": f"Bearer {mint_token(issuer, SUBJECT, timedelta(minutes=30))}"}),
        "v3 with a channel": (v3, {"X-Channel-ID": CHANNEL} | key),
        "signed link of v2": (result["downloadurl"], {}),
    }
    assert set(found) == set(WAYS)
    digest = hashlib.sha256(whole).hexdigest()
    return {way: Source(url, headers, digest, len(whole)) for way, (url, headers) in found.items()}


@pytest.fixture(params=WAYS)
def source(large: dict[str, Source], request: pytest.FixtureRequest) -> Source:
    found = large[request.param]
    assert found.size > 10_000_000
    return found


def headers(source: Source, option: str) -> list[str]:
    return [part for name, value in source.headers.items() for part in (option, f"{name}: {value}")]


def size_of(target: Path) -> int:
    return target.stat().st_size


def digest_of(target: Path) -> str:
    return hashlib.sha256(target.read_bytes()).hexdigest()


async def curl(source: Source, target: Path, *within: str) -> int:
    """How curl ended, which goes on with the file where it ends; `within` is a command that runs it."""
    process = await asyncio.create_subprocess_exec(
        *(*within, "curl", "--silent", "--show-error", "--fail", "--noproxy", "*", "--continue-at", "-"),
        *("--output", str(target), *headers(source, "--header"), source.url),
    )
    return await process.wait()


async def test_curl_goes_on_where_it_was_killed(source: Source, tmp_path: Path) -> None:
    target = tmp_path / "archive.zip"
    points = sorted(secrets.SystemRandom().sample(range(1, source.size), CUTS))
    for point in points:
        # The kernel kills it at that very byte. A limit of the rate is none: curl takes megabytes before it looks.
        assert await curl(source, target, "prlimit", f"--fsize={point}", "--core=0") == -signal.SIGXFSZ, points
        assert size_of(target) == point, points
    assert await curl(source, target) == 0
    assert (size_of(target), digest_of(target)) == (source.size, source.sha256), points


async def test_aria2c_fetches_eight_parts_at_once(source: Source, tmp_path: Path) -> None:
    if shutil.which("aria2c") is None:
        pytest.skip("no aria2c here; apt-get install aria2")
    process = await asyncio.create_subprocess_exec(
        *("aria2c", "--quiet", "--no-conf", "--all-proxy=", "--min-split-size=1M", "--split=8", "-x8"),
        *("--dir", str(tmp_path), "--out", "archive.zip", *headers(source, "--header"), source.url),
    )
    assert await process.wait() == 0
    assert digest_of(tmp_path / "archive.zip") == source.sha256


@pytest.mark.parametrize("way", WAYS[:3])
async def test_what_has_changed_since_comes_whole(
    large: dict[str, Source], http: aiohttp.ClientSession, way: str
) -> None:
    source = large[way]
    stale = {"Range": f"bytes={source.size // 2}-", "If-Range": f'"{"0" * 64}"'}
    async with http.get(source.url, headers=source.headers | stale) as answer:
        assert answer.status == 200
        assert hashlib.sha256(await answer.read()).hexdigest() == source.sha256
