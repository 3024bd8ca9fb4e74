"""Register, grant, submit, watch, download: what a partner does."""

import asyncio
import hashlib
import io
import zipfile
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from remotezip import RemoteZip

from deploy.local.independent_count import Wanted, compare_download
from deploy.local.stack import Stack
from exhaust.postgres.database import Database
from exhaust.s3.store import ObjectStore
from tests.acceptance.conftest import FIRST, PLAN
from tests.support.operator_view import outcome_of
from tests.support.partner import Partner, resource_of
from tests.support.s3_proxy import proxy

Days = dict[str, dict[str, bytes]]
LAST = PLAN.days[-1]
DATASET = "eks-consumption-raw"


def span(days: Days) -> list[str]:
    return sorted(days)


async def fetch(partner: Partner, path: str, owner: str) -> tuple[dict[str, Any], bytes]:
    reply = await partner.submit(path, partner_id=owner)
    assert reply.status == 202, reply
    assert reply.headers["Location"].endswith(reply.result["requestid"])
    result = await partner.finished(reply.result["requestid"])
    assert result["status"] == "complete", result
    return result, await partner.download(result)


@pytest.mark.parametrize("owner", [PLAN.partner_ids[0], PLAN.channel_ids[1]])
async def test_a_download_holds_every_line_of_the_owner_and_none_else(
    partner: Partner, raw_days: Days, owner: str, tmp_path: Path
) -> None:
    await partner.grant(owner)
    result, data = await fetch(partner, f"{DATASET}/{resource_of(owner)}/{FIRST}/{LAST}", owner)
    assert (result["size"], result["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
    archive = tmp_path / "download.zip"
    archive.write_bytes(data)
    found = compare_download(archive, span(raw_days), raw_days.__getitem__, Wanted(resource_of(owner)))
    assert [day.difference for day in found if day.difference] == []
    assert sum(day.events for day in found) == result["events"] > 0
    assert result["progress"] == {
        "daysdone": 10,
        "daystotal": 10,
        "events": result["events"],
        "bytes": result["bytes"],
    }


async def test_tags_narrow_a_download(partner: Partner, raw_days: Days, tmp_path: Path) -> None:
    owner, tags = PLAN.channel_ids[0], PLAN.tag_ids[:2]
    await partner.grant(owner)
    query = "&".join(f"tags[]={tag}" for tag in tags)
    result, data = await fetch(partner, f"D002/{resource_of(owner)}/{FIRST}/{FIRST}?{query}", owner)
    archive = tmp_path / "download.zip"
    archive.write_bytes(data)
    found = compare_download(archive, [str(FIRST)], raw_days.__getitem__, Wanted(resource_of(owner), tags))
    assert [day.difference for day in found] == [None]
    assert found[0].events == result["events"] > 0


async def test_the_same_request_again_gives_the_same_bytes(partner: Partner, raw_days: Days) -> None:
    assert raw_days
    owner = PLAN.partner_ids[1]
    await partner.grant(owner)
    path = f"{DATASET}/{resource_of(owner)}/{FIRST}/{LAST}"
    first = await partner.submit(path, partner_id=owner)
    one = await partner.download(await partner.finished(first.result["requestid"]))
    again = await partner.submit(path, partner_id=owner)
    assert again.result["requestid"] != first.result["requestid"]
    assert await partner.download(await partner.finished(again.result["requestid"])) == one


async def test_days_without_telemetry_are_valid_and_empty(partner: Partner) -> None:
    owner = "org.example.partner.nobody"
    await partner.grant(owner)
    result, data = await fetch(partner, f"eks-creation-raw/{resource_of(owner)}/2026-08-01/2026-08-02", owner)
    assert result["events"] == 0
    with zipfile.ZipFile(io.BytesIO(data)) as outer:
        assert outer.namelist() == ["2026-08-01.zip", "2026-08-02.zip", "manifest.json"]
        for name in outer.namelist()[:2]:
            with zipfile.ZipFile(io.BytesIO(outer.read(name))) as day:
                assert day.namelist() == []


async def test_one_day_can_be_read_by_range(partner: Partner, raw_days: Days, http: aiohttp.ClientSession) -> None:
    assert raw_days
    owner = PLAN.partner_ids[0]
    await partner.grant(owner)
    result, data = await fetch(partner, f"{DATASET}/{resource_of(owner)}/{FIRST}/{LAST}", owner)
    with zipfile.ZipFile(io.BytesIO(data)) as outer:
        member = outer.getinfo("2026-09-02.zip")
        whole = outer.read(member)
    start = member.header_offset + 30 + len(member.filename)
    headers = {"Range": f"bytes={start}-{start + member.file_size - 1}"}
    async with http.get(result["downloadurl"], headers=headers) as answer:
        assert answer.status == 206
        assert await answer.read() == whole
        assert "attachment" in answer.headers["Content-Disposition"]


async def test_a_tool_reads_one_day_without_the_rest(partner: Partner, raw_days: Days, stack: Stack) -> None:
    """A day, and 128 KiB at most for finding it, headers included."""
    assert raw_days
    owner = PLAN.channel_ids[1]
    await partner.grant(owner)
    result, data = await fetch(partner, f"{DATASET}/{resource_of(owner)}/{FIRST}/{LAST}", owner)
    with zipfile.ZipFile(io.BytesIO(data)) as outer:
        whole = outer.read("2026-09-05.zip")
    # The signature covers `Host`, so that stays as it was.
    async with proxy(stack.s3.endpoint) as way:

        def read() -> bytes:
            with RemoteZip(
                result["downloadurl"].replace(stack.s3.endpoint, f"http://{way.address}"),
                headers={"Host": stack.s3.endpoint.removeprefix("http://")},
                support_suffix_range=True,
            ) as remote:
                assert remote.namelist() == [*(f"{day}.zip" for day in span(raw_days)), "manifest.json"]
                found: bytes = remote.read("2026-09-05.zip")
                return found

        assert await asyncio.to_thread(read) == whole
    print(f"\n{len(data)} bytes, of which a day has {len(whole)}; {way.passed} moved")
    assert len(whole) < way.passed <= len(whole) + 128 * 1024


async def test_a_corrupt_object_fails_the_request_and_is_named_to_operators(
    partner: Partner, objects: ObjectStore, stack: Stack, owner_database: Database
) -> None:
    owner = "org.example.partner.corrupt"
    await partner.grant(owner)
    key = "summary/2026-09-02-1788307200000.json.gz"
    await objects.put(stack.s3.raw_bucket, key, b"\x1f\x8b\x08\x00 cut off")
    reply = await partner.submit(f"eks-consumption-summary/{resource_of(owner)}/{FIRST}/2026-09-03", partner_id=owner)
    result = await partner.finished(reply.result["requestid"])
    assert result["status"] == "failed"
    assert "downloadurl" not in result
    assert result["error"]["code"] == "SOURCE_OBJECT_UNREADABLE"
    assert result["error"]["day"] == "2026-09-02"
    # The object's name is for operators.
    assert key not in str(result)
    told = await outcome_of(owner_database, reply.result["requestid"])
    assert (told["day"], told["object"]) == ("2026-09-02", key)
    assert key in told["message"]


async def test_foreign_and_unknown_requests_look_the_same(
    partner: Partner, http: aiohttp.ClientSession, stack: Stack
) -> None:
    owner = "org.example.partner.private"
    await partner.grant(owner)
    mine = await partner.submit(f"{DATASET}/{resource_of(owner)}/{FIRST}/{FIRST}", partner_id=owner)
    stranger = await Partner.register(http, stack)
    foreign = await stranger.status(mine.result["requestid"])
    unknown = await stranger.status("00000000-0000-4000-8000-000000000000")
    for reply in (foreign, unknown):
        reply.body["params"].pop("resmsgid")
        reply.body.pop("ts")
    assert (foreign.status, foreign.error) == (404, "INVALID_REQUESTID")
    assert foreign.body == unknown.body


@pytest.mark.parametrize(
    ("question", "code"),
    [
        ("status/00000000-0000-4000-8000-000000000000", "INVALID_REQUESTID"),
        ("status/00000000-0000-4000-8000-000000000000?wait=1", "INVALID_REQUESTID"),
        ("status/00000000-0000-4000-8000-000000000000?wait=99", "INVALID_DATA_ERROR"),
        ("org.example.partner.told?limit=0", "INVALID_DATA_ERROR"),
    ],
)
async def test_what_the_status_service_refuses_is_told_in_the_callers_way(
    partner: Partner, question: str, code: str
) -> None:
    await partner.grant("org.example.partner.told")
    url = f"{partner.stack.gateway}/v2/datasets/requests/{question}"
    body = {"request": {"licenseKey": partner.license_key}}
    for accepted in ("application/json", "application/problem+json"):
        async with partner.http.post(url, json=body, headers={"Accept": accepted}) as answer:
            assert answer.content_type == accepted
            told = await answer.json()
        assert (told["params"]["err"] if accepted == "application/json" else told["code"]) == code
