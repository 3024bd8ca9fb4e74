"""v1: the zip itself, whole, in parts, and resumed."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

import aiohttp
import pytest

from deploy.local.independent_count import Wanted, compare_download
from deploy.local.stack import Stack
from tests.acceptance.conftest import FIRST, PLAN
from tests.support.partner import Partner, resource_of

Days = dict[str, dict[str, bytes]]
OWNER = PLAN.channel_ids[2]
PATH = f"/v1/datasets/eks-consumption-raw/{resource_of(OWNER)}/{FIRST}/{PLAN.days[-1]}"


@pytest.fixture
async def ready(partner: Partner, raw_days: Days) -> Partner:
    assert raw_days
    await partner.grant(OWNER)
    return partner


async def fetch(partner: Partner, **headers: str) -> tuple[int, bytes, Mapping[str, str]]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    body = {"request": {"licenseKey": partner.license_key}}
    async with partner.http.post(f"{partner.stack.gateway}{PATH}", json=body, headers=named) as answer:
        return answer.status, await answer.read(), answer.headers


async def test_the_zip_is_the_answer(ready: Partner, raw_days: Days, tmp_path: Path) -> None:
    status, data, headers = await fetch(ready)
    assert (status, headers["Content-Type"], headers["Content-Length"]) == (200, "application/zip", str(len(data)))
    assert re.fullmatch(r'"[0-9a-f]{64}"', headers["ETag"])
    _, again, told = await fetch(ready)
    assert (again, told["ETag"]) == (data, headers["ETag"])
    assert "attachment" in headers["Content-Disposition"]
    assert headers["X-Request-ID"]
    archive = tmp_path / "download.zip"
    archive.write_bytes(data)
    found = compare_download(archive, sorted(raw_days), raw_days.__getitem__, Wanted(resource_of(OWNER)))
    assert [day.difference for day in found if day.difference] == []


async def test_parts_and_conditions(ready: Partner) -> None:
    _, whole, headers = await fetch(ready)
    etag = headers["ETag"]
    assert (await fetch(ready, Range="bytes=10-19"))[:2] == (206, whole[10:20])
    assert (await fetch(ready, Range="bytes=-5"))[:2] == (206, whole[-5:])
    assert (await fetch(ready, Range="bytes=7-", If_Range=etag))[:2] == (206, whole[7:])
    assert (await fetch(ready, Range="bytes=7-", If_Range='"stale"'))[:2] == (200, whole)
    assert (await fetch(ready, Range="bytes=1-2,5-6"))[:2] == (200, whole)
    assert (await fetch(ready, Range="lines=1-2"))[:2] == (200, whole)
    for behind in (f"bytes={len(whole)}-", "bytes=-0"):
        status, data, told = await fetch(ready, Range=behind)
        assert (status, told["Content-Range"]) == (416, f"bytes */{len(whole)}")
        assert (told["Content-Type"], "Content-Disposition" in told) == ("application/json", False)
        assert json.loads(data)["params"]["err"] == "INVALID_DATA_ERROR"
    assert (await fetch(ready, If_None_Match=f'W/{etag}, "other"'))[:2] == (304, b"")
    assert (await fetch(ready, If_None_Match='"other"'))[0] == 200


async def test_get_and_head_answer_as_post_does(ready: Partner) -> None:
    _, whole, headers = await fetch(ready)
    key = {"X-API-Key": ready.license_key}
    async with ready.http.get(f"{ready.stack.gateway}{PATH}", headers=key) as got:
        assert (got.status, await got.read(), got.headers["ETag"]) == (200, whole, headers["ETag"])
    async with ready.http.head(f"{ready.stack.gateway}{PATH}", headers=key) as told:
        assert (told.status, await told.read()) == (200, b"")
        assert (told.headers["Content-Length"], told.headers["ETag"]) == (str(len(whole)), headers["ETag"])
    async with ready.http.get(f"{ready.stack.gateway}{PATH}") as refused:
        assert (refused.status, (await refused.json())["params"]["err"]) == (401, "LOGIN_FAILED")


async def test_what_was_cut_goes_on_where_it_stopped(ready: Partner) -> None:
    _, whole, headers = await fetch(ready)
    for cut in range(1, len(whole), len(whole) // 6):
        status, rest, told = await fetch(ready, Range=f"bytes={cut}-", If_Range=headers["ETag"])
        assert (status, whole[:cut] + rest) == (206, whole)
        assert told["Content-Range"] == f"bytes {cut}-{len(whole) - 1}/{len(whole)}"


async def test_who_may_not_read_is_refused(ready: Partner, http: aiohttp.ClientSession, stack: Stack) -> None:
    stranger = await Partner.register(http, stack)
    status, data, headers = await fetch(stranger)
    assert (status, headers["Content-Type"].partition(";")[0]) == (403, "application/json")
    assert json.loads(data)["params"]["err"] == "AUTHORIZATION_FAILED"
    assert json.loads(data)["ver"] == "1.0"
    nobody = Partner(http, stack, "nobody", "wrong key")
    status, data, _ = await fetch(nobody)
    assert (status, json.loads(data)["params"]["err"]) == (401, "LOGIN_FAILED")
    assert ready.license_key
