"""Webhooks in the portal: registered, tested and deleted in forms; those of others are like unknown ones."""

from __future__ import annotations

import re
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING
from uuid import uuid4

import aiohttp
import pytest

from exhaust.postgres.license_keys import KeyStore
from exhaust.webhooks.secrets import SecretSeal
from services.gateway.portal.webhooks import ACTIONS
from services.gateway.webhook_service import WebhookService
from tests.integration.conftest import PEPPERS
from tests.integration.webhooks.conftest import KEYS
from tests.support.portal_app import open_portal
from tests.support.portal_visitor import TOKEN, Visitor

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from exhaust.postgres.database import Database
    from exhaust.s3.store import ObjectStore

URL = "https://receiver.example.org/hooks"
IDS = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}")
SECRET = re.compile(r"whsec_[A-Za-z0-9+/=]+")


async def public_address(_host: str) -> Sequence[str]:
    return ["8.8.8.8"]


@pytest.fixture
async def visitors(database: Database, away_objects: ObjectStore) -> AsyncIterator[list[Visitor]]:
    """Two holders of license keys who have signed in at a portal that has webhooks."""
    async with AsyncExitStack() as stack:
        service = WebhookService(database, SecretSeal(KEYS), public_address, ())
        keys = KeyStore(database, PEPPERS)
        base = await stack.enter_async_context(open_portal(database, keys, away_objects, webhooks=service))
        made = []
        for name in ("maple", "oak"):
            jar = aiohttp.CookieJar(unsafe=True)
            session = await stack.enter_async_context(aiohttp.ClientSession(cookie_jar=jar))
            made.append(Visitor(session, base))
            assert (await made[-1].sign_in(await keys.register(name, "dashboard"))).status == 303
        yield made


async def registered(visitor: Visitor) -> str:
    """The id of a webhook that was registered in the form."""
    seen = await visitor.send("/webhooks", url=URL, events="request.complete")
    assert seen.status == 200, seen.text
    found = re.search(r'id="webhook-([0-9a-f-]{36})"', seen.text)
    assert found is not None
    return found[1]


async def test_a_webhook_from_its_registration_to_its_end(visitors: list[Visitor]) -> None:
    maple, _ = visitors
    seen = await maple.send("/webhooks", url=URL, events="request.complete")
    secret = SECRET.search(seen.text)
    assert secret is not None
    page = await maple.get("/webhooks")
    assert URL in page.text
    assert SECRET.search(page.text) is None
    webhook = re.findall(r'id="webhook-([0-9a-f-]{36})"', page.text)[0]
    assert (await maple.send(f"/webhooks/{webhook}/test")).location == "/portal/webhooks"
    tested = await maple.get("/webhooks")
    assert "webhook.test" in tested.text
    delivery = re.findall(r'name="delivery" value="([0-9a-f-]{36})"', tested.text)[0]
    assert (await maple.send(f"/webhooks/{webhook}/replay", delivery=delivery)).status == 303
    renewed = SECRET.search((await maple.send(f"/webhooks/{webhook}/rotate")).text)
    assert renewed is not None
    assert renewed[0] != secret[0]
    assert (await maple.send(f"/webhooks/{webhook}/disable")).status == 303
    assert "Switch on" in (await maple.get("/webhooks")).text
    assert (await maple.send(f"/webhooks/{webhook}/enable")).status == 303
    assert (await maple.send(f"/webhooks/{webhook}/delete")).status == 303
    assert URL not in (await maple.get("/webhooks")).text


async def test_an_address_that_is_refused_stays_in_the_form(visitors: list[Visitor]) -> None:
    maple, _ = visitors
    seen = await maple.send("/webhooks", url="http://127.0.0.1/x", events="request.complete")
    assert seen.status == 400
    assert 'role="alert"' in seen.text
    assert 'value="http://127.0.0.1/x"' in seen.text


async def test_webhooks_of_others_are_like_unknown_ones(visitors: list[Visitor]) -> None:
    maple, oak = visitors
    foreign, unknown = await registered(oak), str(uuid4())
    assert foreign not in (await maple.get("/webhooks")).text
    for action in ACTIONS:
        fields = {"delivery": str(uuid4())} if action == "replay" else {}
        seen, missing = [await maple.send(f"/webhooks/{one}/{action}", **fields) for one in (foreign, unknown)]
        assert (seen.status, _without_ids(seen.text)) == (missing.status, _without_ids(missing.text))
        assert seen.status == 404
    assert foreign in (await oak.get("/webhooks")).text


def _without_ids(text: str) -> str:
    return IDS.sub("", TOKEN.sub("", text))
