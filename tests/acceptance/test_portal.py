"""The portal from signing in to the download, without scripts; and what it tells of the requests of others."""

from __future__ import annotations

import io
import json
import re
import zipfile
from html import unescape
from typing import TYPE_CHECKING
from urllib.parse import urlencode
from uuid import uuid4

import aiohttp
import pytest

from exhaust.postgres.audit import Action, AuditFilter, find_audit_entries
from exhaust.postgres.grants import Grant, GrantStore
from tests.acceptance.conftest import FOLDER, PLAN
from tests.support.gateway_process import another_gateway
from tests.support.partner import KEY_NAME, Partner, resource_of
from tests.support.portal_visitor import Visitor

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from deploy.local.stack import Stack
    from exhaust.postgres.database import Database

OWNER = PLAN.partner_ids[0]
DATASET = "eks-consumption-raw"
FIRST, LAST = PLAN.days[0].isoformat(), PLAN.days[1].isoformat()
CHOICE = {"dataset": DATASET, "resource": resource_of(OWNER), "kind": "partner", "partner": OWNER, "first": FIRST}
IDS = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}")
PATHS = ("/requests/{}", "/requests/{}/events", "/requests/{}/download")
ACTIONS = ("/requests/{}/cancel", "/requests/{}/retry", "/requests/{}/delete")


@pytest.fixture
async def visitor(partner: Partner, stack: Stack, owner_database: Database) -> AsyncIterator[Visitor]:
    """A partner with a grant that names its plain id, signed in."""
    grant = Grant(partner.name, KEY_NAME, resource_of(OWNER), owner=OWNER)
    await GrantStore(owner_database).add(grant, actor="operator/tests")
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        opened = Visitor(session, stack.gateway)
        assert (await opened.sign_in(partner.license_key)).status == 303
        yield opened


async def asked(visitor: Visitor, partner: Partner, **change: str) -> str:
    """The id of a request that was made in the portal, once it has ended."""
    seen = await visitor.send("/requests", **CHOICE | {"last": LAST, "intent": str(uuid4())} | change)
    assert seen.status == 303, seen.text
    request = seen.location.rpartition("/")[2]
    await partner.finished(request)
    return request


async def test_from_the_choice_to_the_download(
    visitor: Visitor, partner: Partner, raw_days: dict[str, dict[str, bytes]], owner_database: Database
) -> None:
    assert raw_days
    start = await visitor.get("")
    assert start.status == 200
    assert OWNER in start.text
    assert start.text.count("data-day=") == 62
    ask = await visitor.get(f"/ask?{urlencode(CHOICE)}")
    assert f"exhaust get --partner {OWNER} --dataset {DATASET} --from {FIRST} --to {FIRST}" in unescape(ask.text)
    request = await asked(visitor, partner)
    page = await visitor.get(f"/requests/{request}")
    assert page.status == 200
    assert page.text.count('<tr data-day="') == 2
    assert f"/portal/requests/{request}/download" in page.text
    assert request in (await visitor.get("")).text
    link = await visitor.get(f"/requests/{request}/download")
    assert (link.status, link.headers["Cache-Control"]) == (303, "no-store")
    async with visitor.session.get(link.location) as answer:
        data = await answer.read()
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.namelist() == [f"{FIRST}.zip", f"{LAST}.zip", "manifest.json"]
        with zipfile.ZipFile(io.BytesIO(archive.read(f"{FIRST}.zip"))) as day:
            lines = day.read(day.namelist()[0]).decode().splitlines()
    events = await visitor.get(f"/requests/{request}/events")
    shown = [unescape(text) for text in re.findall(r"<code>(.*?)</code>", events.text, re.DOTALL)]
    assert shown[:20] == lines[:20]
    assert all(json.loads(line)["eid"] for line in shown)
    wanted = AuditFilter(subject=f"request/{request}", action=Action.DOWNLOAD)
    entries = await find_audit_entries(owner_database, wanted)
    assert {"firstevents": 20} in [dict(entry.detail) for entry in entries]
    assert len(entries) == 2


async def test_pressing_submit_twice_makes_one_request(
    visitor: Visitor, partner: Partner, raw_days: dict[str, dict[str, bytes]]
) -> None:
    assert raw_days
    intent = str(uuid4())
    assert await asked(visitor, partner, intent=intent) == await asked(visitor, partner, intent=intent)


async def test_a_request_that_has_ended_is_deleted(
    visitor: Visitor, partner: Partner, raw_days: dict[str, dict[str, bytes]]
) -> None:
    assert raw_days
    request = await asked(visitor, partner)
    seen = await visitor.send(f"/requests/{request}/delete")
    assert (seen.status, seen.location) == (303, "/portal")
    assert (await visitor.get(f"/requests/{request}")).status == 404
    assert request not in (await visitor.get("")).text


async def test_wrong_days_are_told_where_they_are_chosen(visitor: Visitor) -> None:
    for days in (
        {"first": "2026-02-30"},
        {"first": "2026-01-01", "last": "2026-03-01"},
        {"first": "2099-01-01"},
        {"first": LAST, "last": FIRST},
    ):
        seen = await visitor.send("/requests", **CHOICE | {"last": LAST} | days)
        assert seen.status == 400
        assert 'role="alert"' in seen.text


async def test_what_is_not_granted_is_refused_as_by_the_api(visitor: Visitor) -> None:
    other = PLAN.partner_ids[1]
    for change in ({"resource": resource_of(other)}, {"partner": other}, {"dataset": "no-such-dataset"}):
        assert (await visitor.send("/requests", **CHOICE | {"last": LAST} | change)).status == 403


async def test_requests_of_others_are_like_unknown_ones(
    http: aiohttp.ClientSession, stack: Stack, visitor: Visitor, raw_days: dict[str, dict[str, bytes]]
) -> None:
    assert raw_days
    other = await Partner.register(http, stack)
    await other.grant(PLAN.partner_ids[1])
    reply = await other.submit(
        f"{DATASET}/{resource_of(PLAN.partner_ids[1])}/{FIRST}/{FIRST}", partner_id=PLAN.partner_ids[1]
    )
    foreign, unknown = reply.result["requestid"], str(uuid4())
    await other.finished(foreign)
    for path in PATHS:
        seen, missing = [await visitor.get(path.format(request)) for request in (foreign, unknown)]
        assert (seen.status, IDS.sub("", seen.text)) == (missing.status, IDS.sub("", missing.text))
        assert seen.status == 404
    for path in ACTIONS:
        seen, missing = [await visitor.send(path.format(request)) for request in (foreign, unknown)]
        assert (seen.status, IDS.sub("", seen.text)) == (missing.status, IDS.sub("", missing.text))
        assert seen.status == 404
    assert foreign not in (await visitor.get("")).text
    assert (await other.status(foreign)).result["status"] == "complete"


async def test_it_can_be_switched_off(http: aiohttp.ClientSession, stack: Stack, tmp_path: Path) -> None:
    async with another_gateway(stack, FOLDER, tmp_path / "log", http, EXHAUST_PORTAL="off") as without:
        for path in ("/portal", "/portal/sign-in"):
            async with http.get(f"{without.gateway}{path}") as answer:
                assert (answer.status, answer.content_type) == (404, "application/json")
