"""Signing in at the portal: what a session is, what ends it, and who cannot make a browser send its forms."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aiohttp
import pytest

from exhaust.postgres.audit import Action, AuditFilter, find_audit_entries
from exhaust.postgres.license_keys import KeyStore
from exhaust.postgres.portal_sessions import MOST_OF_A_USER
from tests.integration.conftest import PEPPERS
from tests.support.portal_visitor import Visitor

if TYPE_CHECKING:
    from exhaust.postgres.database import Database
    from tests.integration.conftest import Gateway

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self';"
    " frame-ancestors 'none'; base-uri 'none'"
)


async def sessions(database: Database) -> int:
    row = await database.fetch_one("SELECT count(*) AS sessions FROM portal_sessions")
    assert row is not None
    return int(row["sessions"])


async def test_a_license_key_opens_a_session(signed_in: Visitor, database: Database) -> None:
    page = await signed_in.get("/keys")
    assert page.status == 200
    assert "client / dashboard" in page.text
    [entry] = await find_audit_entries(database, AuditFilter(action=Action.SIGN_IN))
    assert entry.actor.startswith("user/")


async def test_the_cookie_is_for_this_site_and_no_script(gateway: Gateway, visitor: Visitor) -> None:
    at_loopback = (await visitor.sign_in(gateway.license_key)).headers["Set-Cookie"]
    parts = {part.strip() for part in at_loopback.split(";")}
    assert parts >= {"HttpOnly", "SameSite=Strict", "Max-Age=28800", "Path=/"}
    assert "Secure" not in parts
    elsewhere = await visitor.post("/sign-in", {"licensekey": gateway.license_key}, Host="data.example.org")
    cookie = elsewhere.headers["Set-Cookie"]
    assert cookie.startswith("__Host-exhaust-portal=")
    assert {part.strip() for part in cookie.split(";")} >= {"HttpOnly", "Secure", "SameSite=Strict", "Path=/"}


async def test_neither_id_nor_key_is_stored_or_shown(
    gateway: Gateway, signed_in: Visitor, owner_database: Database
) -> None:
    [cookie] = list(signed_in.session.cookie_jar)
    rows = await owner_database.fetch("SELECT p::text AS row FROM portal_sessions p")
    page = await signed_in.get("/keys")
    for secret in (cookie.value, cookie.value.encode().hex(), gateway.license_key):
        assert all(secret not in row["row"] for row in rows)
        assert secret not in page.text


@pytest.mark.parametrize("key", ["", "   ", "wrong", "x" * 257, "00000000-0000-4000-8000-000000000000", "\x00", "ü"])
async def test_a_wrong_key_opens_nothing(visitor: Visitor, database: Database, key: str) -> None:
    seen = await visitor.sign_in(key)
    assert seen.status == 401
    assert "This is no valid license key" in seen.text
    assert "Set-Cookie" not in seen.headers
    assert await sessions(database) == 0


async def test_without_a_session_there_is_only_the_page_of_signing_in(visitor: Visitor) -> None:
    for path in ("", "/", "/keys", "/nothing", "/requests/00000000-0000-4000-8000-000000000000"):
        seen = await visitor.get(path)
        assert (seen.status, seen.location) == (303, "/portal/sign-in")
        polled = await visitor.get(path, **{"HX-Request": "true"})
        assert (polled.status, polled.headers["HX-Redirect"]) == (401, "/portal/sign-in")
    assert (await visitor.post("/sign-out", {})).location == "/portal/sign-in"


async def test_signing_out_ends_the_session_everywhere(
    gateway: Gateway, signed_in: Visitor, database: Database
) -> None:
    [cookie] = list(signed_in.session.cookie_jar)
    seen = await signed_in.send("/sign-out")
    assert (seen.status, seen.location) == (303, "/portal/sign-in")
    assert await sessions(database) == 0
    async with aiohttp.ClientSession(cookies={cookie.key: cookie.value}) as kept:
        assert (await Visitor(kept, gateway.base).get("/keys")).location == "/portal/sign-in?ended=1"


async def test_a_revoked_key_ends_its_sessions_at_the_next_call(signed_in: Visitor, database: Database) -> None:
    assert (await signed_in.get("/keys")).status == 200
    await KeyStore(database, PEPPERS).revoke("client", "dashboard", actor="operator/tests")
    assert (await signed_in.get("/keys")).location == "/portal/sign-in?ended=1"


async def test_a_session_ends_after_its_time_and_is_pruned(
    gateway: Gateway, signed_in: Visitor, visitor: Visitor, database: Database, owner_database: Database
) -> None:
    async with owner_database.transaction() as connection:
        await connection.execute("UPDATE portal_sessions SET ends_at = now()")
    assert (await signed_in.get("/keys")).location == "/portal/sign-in?ended=1"
    assert await sessions(database) == 1
    assert (await visitor.sign_in(gateway.license_key)).status == 303
    assert await sessions(database) == 1


async def test_one_key_has_a_limited_number_of_sessions(gateway: Gateway, database: Database) -> None:
    for _ in range(MOST_OF_A_USER + 2):
        async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
            last = Visitor(session, gateway.base)
            await last.sign_in(gateway.license_key)
            assert (await last.get("/keys")).status == 200
    assert await sessions(database) == MOST_OF_A_USER


@pytest.mark.parametrize(
    "headers",
    [{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Sec-Fetch-Site": "none"}],
)
async def test_no_other_site_signs_a_browser_in(gateway: Gateway, visitor: Visitor, headers: dict[str, str]) -> None:
    seen = await visitor.post("/sign-in", {"licensekey": gateway.license_key}, **headers)
    assert seen.status == 403
    assert "Set-Cookie" not in seen.headers


async def test_an_old_browser_is_known_by_the_origin_that_it_sends(gateway: Gateway, visitor: Visitor) -> None:
    for origin, status in ((gateway.base, 303), ("https://other.example.org", 403), ("null", 403)):
        data = {"licensekey": gateway.license_key}
        async with visitor.session.post(
            f"{gateway.base}/portal/sign-in", data=data, headers={"Origin": origin}, allow_redirects=False
        ) as answer:
            assert answer.status == status


async def test_a_form_needs_the_token_of_its_session(gateway: Gateway, signed_in: Visitor, database: Database) -> None:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        other = Visitor(session, gateway.base)
        await other.sign_in(gateway.license_key)
        stolen = await other.token()
    for fields in ({}, {"csrf_token": ""}, {"csrf_token": stolen}, {"csrf_token": "ü"}):
        seen = await signed_in.post("/sign-out", fields)
        assert seen.status == 403
        assert "the form is not one of yours" in seen.text.lower()
    assert await sessions(database) == 2


async def test_every_page_allows_files_of_its_own_alone(visitor: Visitor, signed_in: Visitor) -> None:
    for seen in (await visitor.get("/sign-in"), await signed_in.get("/keys"), await signed_in.get("/nothing")):
        assert seen.headers["Content-Security-Policy"] == POLICY
        assert seen.headers["Cache-Control"] == "no-store"
        assert "style=" not in seen.text
        assert "onclick" not in seen.text
        assert "<script>" not in seen.text
    found = (await signed_in.get("/keys")).text.split('href="/portal/static/')[1].split('"')[0]
    kept = await signed_in.get(f"/static/{found}")
    assert kept.headers["Cache-Control"] == "public, max-age=31536000, immutable"


async def test_what_is_no_form_is_refused(signed_in: Visitor) -> None:
    async with signed_in.session.post(
        f"{signed_in.base}/portal/sign-in", json={"licensekey": "x"}, headers={"Sec-Fetch-Site": "same-origin"}
    ) as answer:
        assert answer.status == 415
    huge = await signed_in.post("/sign-in", {"licensekey": "x" * 70_000})
    assert huge.status == 413
    wrong = await signed_in.get("/sign-in?key=abc")
    assert wrong.status == 400
    assert 'href="/help#INVALID_DATA_ERROR"' in wrong.text
