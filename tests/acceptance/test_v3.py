"""v3: the zip for the holder of a token, or of a channel's license key."""

import asyncio
import io
import os
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from datetime import date, timedelta

import pytest

from admin.test_issuer import LocalIssuer, mint_token
from deploy.local.stack import Stack
from tests.acceptance.conftest import FIRST, PLAN
from tests.support.partner import KEY_NAME, Partner, resource_of

CHANNEL = PLAN.channel_ids[0]
SUBJECT = "reporting"
DATES = f"{FIRST}/{FIRST + timedelta(days=1)}"
WRONG_TOKEN = b'"err":"LOGIN_FAILED","errmsg":"the token is not accepted; get a new one from your issuer"'
ROOT_PATH = "/data/v3/datasets/eks-consumption-raw"


async def call(
    stack: Stack, partner: Partner, method: str, path: str, **headers: str
) -> tuple[int, bytes, Mapping[str, str]]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with partner.http.request(method, f"{stack.gateway}{path}", headers=named) as answer:
        return answer.status, await answer.read(), answer.headers


async def bind(stack: Stack, issuer: LocalIssuer, partner: Partner) -> None:
    names = ["--issuer", issuer.issuer, "--subject", SUBJECT, "--client", partner.name, "--key-name", KEY_NAME]
    command = [sys.executable, "-m", "admin.command", "bind-subject", *names]
    environment = os.environ | {"EXHAUST_POSTGRES_OWNER_DSN": stack.postgres}
    await asyncio.to_thread(subprocess.run, command, env=environment, check=True, timeout=60)


@pytest.fixture
async def bearer(stack: Stack, issuer: LocalIssuer, partner: Partner, raw_days: dict[str, object]) -> str:
    assert raw_days
    await partner.grant(CHANNEL)
    await bind(stack, issuer, partner)
    return f"Bearer {mint_token(issuer, SUBJECT)}"


async def test_a_token_opens_what_its_holder_may_read(stack: Stack, partner: Partner, bearer: str) -> None:
    path = f"{ROOT_PATH}/{resource_of(CHANNEL)}/{DATES}"
    status, data, headers = await call(stack, partner, "POST", path, Authorization=bearer)
    assert (status, headers["Content-Type"]) == (200, "application/zip")
    with zipfile.ZipFile(io.BytesIO(data)) as outer:
        assert outer.namelist() == ["2026-09-01.zip", "2026-09-02.zip", "manifest.json"]
    assert (await call(stack, partner, "GET", path, Authorization=bearer))[1] == data
    status, nothing, told = await call(stack, partner, "HEAD", path, Authorization=bearer)
    assert (status, nothing) == (200, b"")
    assert (told["Content-Length"], told["ETag"]) == (str(len(data)), headers["ETag"])
    part = await call(stack, partner, "GET", path, Authorization=bearer, Range="bytes=5-")
    assert part[:2] == (206, data[5:])


async def test_a_channel_and_a_license_key_open_the_channel(stack: Stack, partner: Partner, bearer: str) -> None:
    key = partner.license_key
    named = f"{ROOT_PATH}/{CHANNEL}/{DATES}"
    status, data, _ = await call(stack, partner, "POST", named, X_Channel_ID=CHANNEL, X_API_Key=key)
    assert status == 200
    by_token = await call(stack, partner, "GET", named, X_Channel_ID=CHANNEL, Authorization=bearer)
    assert by_token[:2] == (200, data)
    yesterday = await call(stack, partner, "GET", ROOT_PATH, X_Channel_ID=CHANNEL, X_API_Key=key)
    with zipfile.ZipFile(io.BytesIO(yesterday[1])) as outer:
        assert date.fromisoformat(outer.namelist()[0].removesuffix(".zip")) > PLAN.days[-1]


async def test_everybody_else_is_refused(stack: Stack, partner: Partner, issuer: LocalIssuer, bearer: str) -> None:
    own = f"{ROOT_PATH}/{resource_of(CHANNEL)}/{DATES}"
    foreign = f"{ROOT_PATH}/{resource_of(PLAN.channel_ids[1])}/{DATES}"
    key = partner.license_key
    unbound = f"Bearer {mint_token(issuer, 'somebody else')}"
    refusals: list[tuple[str, dict[str, str], int, bytes]] = [
        (own, {}, 401, b"LOGIN_FAILED"),
        (own, {"Authorization": "Bearer x.y.z"}, 401, WRONG_TOKEN),
        (own, {"Authorization": unbound}, 401, WRONG_TOKEN),
        (own, {"Authorization": f"Basic {key}"}, 401, b"LOGIN_FAILED"),
        (own, {"X_API_Key": key}, 401, b"LOGIN_FAILED"),
        (own, {"X_API_Key": "wrong", "X_Channel_ID": CHANNEL}, 401, b"LOGIN_FAILED"),
        (foreign, {"Authorization": bearer}, 403, b"AUTHORIZATION_FAILED"),
        (foreign, {"X_API_Key": key, "X_Channel_ID": CHANNEL}, 403, b"AUTHORIZATION_FAILED"),
        (foreign, {"X_API_Key": key, "X_Channel_ID": PLAN.channel_ids[1]}, 403, b"AUTHORIZATION_FAILED"),
        (ROOT_PATH, {"Authorization": bearer}, 400, b"INVALID_DATA_ERROR"),
    ]
    for path, headers, expected, code in refusals:
        status, body, _ = await call(stack, partner, "POST", path, **headers)
        assert (status, code in body) == (expected, True), (path, headers, body)
        assert key.encode() not in body
