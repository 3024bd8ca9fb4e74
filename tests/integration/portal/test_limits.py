"""What somebody sees in the portal who calls too often."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aiohttp

from exhaust.postgres.license_keys import KeyStore
from tests.integration.conftest import PEPPERS
from tests.support.portal_app import open_portal
from tests.support.portal_visitor import Visitor

if TYPE_CHECKING:
    from exhaust.postgres.database import Database
    from exhaust.s3.store import ObjectStore


async def test_a_call_too_many_is_refused_by_a_page_in_the_portal_alone(
    database: Database, away_objects: ObjectStore
) -> None:
    async with (
        open_portal(database, KeyStore(database, PEPPERS), away_objects, calls_by_address=1) as base,
        aiohttp.ClientSession() as session,
    ):
        visitor = Visitor(session, base)
        assert (await visitor.get("/sign-in")).status == 200
        for path in ("/sign-in", "/nothing", ""):
            seen = await visitor.get(path)
            assert seen.status == 429
            assert seen.headers["Content-Type"].startswith("text/html")
            assert "This address may make 1 calls a minute" in seen.text
            assert int(seen.headers["Retry-After"]) > 0
            assert "Content-Security-Policy" in seen.headers
        async with session.get(f"{base}/v2/me") as answer:
            assert (answer.status, answer.content_type) == (429, "application/json")
