"""A store that hangs, as pages of the portal meet it: each answers in time, and what needs no store stays as it is."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import aiohttp

from tests.attacks.callers import new_owner
from tests.attacks.processes import frozen
from tests.support.portal_visitor import Visitor

if TYPE_CHECKING:
    from deploy.local.stack import Stack
    from tests.attacks.callers import Callers

IN_TIME_S: Final = 20.0
TABS: Final = 12


async def test_a_store_that_hangs_holds_no_page_and_nobody_else(callers: Callers, stack: Stack) -> None:
    owner, other = new_owner(), new_owner()
    hostile, quiet = await callers.new(owner), await callers.new(other)
    request_id = await hostile.accepted("eks-consumption-raw/{}/2020-01-01/2020-01-02", owner)
    assert (await hostile.stood(request_id))["status"] == "complete"
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        visitor = Visitor(session, stack.gateway)
        assert (await visitor.sign_in(hostile.license_key)).status == 303
        before = await visitor.get(f"/requests/{request_id}")
        assert "What is in the download" in before.text
        with frozen("seaweedfs"):
            start = time.monotonic()
            pages = [visitor.get(f"/requests/{request_id}") for _ in range(TABS)]
            events = visitor.get(f"/requests/{request_id}/events")
            *seen, refused = await asyncio.gather(*pages, events)
            assert time.monotonic() - start < IN_TIME_S
            assert {page.status for page in seen} == {200}
            assert all("Its manifest cannot be shown here" in page.text for page in seen)
            assert refused.status in {429, 503}
            assert (await quiet.status(str(uuid4()))).told == (404, "INVALID_REQUESTID")
        after = await visitor.get(f"/requests/{request_id}")
        assert "What is in the download" in after.text
