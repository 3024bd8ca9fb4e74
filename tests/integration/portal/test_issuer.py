"""Signing in at an issuer: the way there and back, whose session it opens, and what does not open one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import unescape
from typing import TYPE_CHECKING

import aiohttp
import pytest
from pydantic import HttpUrl, SecretStr, ValidationError
from yarl import URL

from admin.test_issuer import make_issuer
from exhaust.postgres.audit import Action, AuditFilter, find_audit_entries
from exhaust.postgres.license_keys import KeyStore
from exhaust.postgres.token_subjects import TokenSubject, TokenSubjects
from services.gateway.portal.issuer_client import open_issuer_client
from services.gateway.settings import IssuerSettings
from tests.integration.conftest import PEPPERS
from tests.support.fake_issuer import SECRET, SUBJECT, FakeIssuer, open_fake_issuer
from tests.support.portal_app import open_portal
from tests.support.portal_visitor import Seen, Visitor
from tests.support.s3_proxy import closed_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from exhaust.postgres.database import Database
    from exhaust.s3.store import ObjectStore

FIELD = re.compile(r'name="(code|state|iss)" value="([^"]*)"')


def settings_of(issuer: FakeIssuer, token_url: str = "") -> IssuerSettings:
    return IssuerSettings(
        portal_issuer=issuer.local.issuers_file,
        portal_authorization_url=HttpUrl(f"{issuer.base}/authorize"),
        portal_token_url=HttpUrl(token_url or f"{issuer.base}/token"),
        portal_client_secret=SecretStr(SECRET),
    )


@dataclass(frozen=True, slots=True)
class Scene:
    """A portal with an issuer, and a browser."""

    issuer: FakeIssuer
    visitor: Visitor
    keys: KeyStore

    async def leave(self) -> URL:
        """Go to the issuer, and return where it sends the browser back to."""
        seen = await self.visitor.get("/sign-in/issuer")
        assert seen.status == 303
        async with self.visitor.session.get(seen.location, allow_redirects=False) as answer:
            return URL(answer.headers["Location"])

    async def arrive(self, back: URL) -> dict[str, str]:
        """Come back as from another site, without cookies, and return the fields of the page's form."""
        async with aiohttp.ClientSession() as without, without.get(back) as answer:
            assert answer.status == 200
            return {name: unescape(value) for name, value in FIELD.findall(await answer.text())}

    async def finish(self, fields: dict[str, str]) -> Seen:
        return await self.visitor.post("/sign-in/callback", fields)

    async def sign_in(self) -> Seen:
        return await self.finish(await self.arrive(await self.leave()))


@pytest.fixture
async def scene(database: Database, away_objects: ObjectStore, tmp_path: Path) -> AsyncIterator[Scene]:
    keys = KeyStore(database, PEPPERS)
    async with (
        open_fake_issuer(make_issuer(tmp_path / "issuer")) as issuer,
        open_issuer_client(settings_of(issuer)) as client,
        open_portal(database, keys, away_objects, issuer=client) as base,
        aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session,
    ):
        yield Scene(issuer, Visitor(session, base), keys)


@pytest.fixture
async def bound(scene: Scene, owner_database: Database) -> TokenSubject:
    await scene.keys.register("maple", "dashboard")
    subject = TokenSubject(scene.issuer.local.issuer, SUBJECT)
    await TokenSubjects(owner_database).bind(subject, "maple", "dashboard", actor="operator/tests")
    return subject


async def test_a_subject_that_is_bound_signs_in_as_the_holder(
    scene: Scene, bound: TokenSubject, database: Database
) -> None:
    assert "Sign in at 127.0.0.1" in (await scene.visitor.get("/sign-in")).text
    seen = await scene.sign_in()
    assert (seen.status, seen.location) == (303, "/portal")
    page = await scene.visitor.get("/keys")
    assert page.status == 200
    assert "maple / dashboard" in page.text
    [entry] = await find_audit_entries(database, AuditFilter(action=Action.SIGN_IN))
    assert entry.detail == {"issuer": bound.issuer, "subject": SUBJECT}


@pytest.mark.usefixtures("bound")
async def test_no_secret_is_in_an_address_or_in_the_log(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    seen = await scene.visitor.get("/sign-in/issuer")
    [cookie] = list(scene.visitor.session.cookie_jar)
    async with scene.visitor.session.get(seen.location, allow_redirects=False) as answer:
        back = URL(answer.headers["Location"])
    done = await scene.finish(await scene.arrive(back))
    assert done.status == 303
    [call] = scene.issuer.calls
    [session] = list(scene.visitor.session.cookie_jar)
    printed = "".join(capsys.readouterr())
    for secret in (cookie.value, call["code_verifier"], session.value, SECRET):
        assert secret not in seen.location + str(back) + done.location
        assert secret not in printed
    assert call["code"] not in printed
    assert {part.strip() for part in seen.headers["Set-Cookie"].split(";")} >= {"HttpOnly", "SameSite=Strict"}


async def test_a_subject_that_is_bound_to_nobody_is_told_what_to_do(scene: Scene) -> None:
    seen = await scene.sign_in()
    assert seen.status == 401
    assert f"bind the subject {SUBJECT}" in seen.text
    assert (await scene.visitor.get("/keys")).status == 303


async def test_the_session_ends_with_the_binding_and_with_the_key(
    scene: Scene, bound: TokenSubject, owner_database: Database
) -> None:
    await scene.sign_in()
    assert (await scene.visitor.get("/keys")).status == 200
    await TokenSubjects(owner_database).unbind(bound, actor="operator/tests")
    assert (await scene.visitor.get("/keys")).status == 303
    await TokenSubjects(owner_database).bind(bound, "maple", "dashboard", actor="operator/tests")
    await scene.sign_in()
    await scene.keys.revoke("maple", "dashboard", actor="operator/tests")
    assert (await scene.visitor.get("/keys")).status == 303
    assert (await scene.sign_in()).status == 401


@pytest.mark.usefixtures("bound")
@pytest.mark.parametrize(
    "claims",
    [{"nonce": "another"}, {"nonce": None}, {"aud": "another"}, {"iss": "https://other.test"}, {"exp": 1}],
)
async def test_a_token_of_another_attempt_or_client_is_refused(scene: Scene, claims: dict[str, object]) -> None:
    scene.issuer.claims.update(claims)
    seen = await scene.sign_in()
    assert seen.status == 401
    assert 'role="alert"' in seen.text
    assert (await scene.visitor.get("/keys")).status == 303


@pytest.mark.usefixtures("bound")
@pytest.mark.parametrize(
    "change", [{"state": "another"}, {"state": ""}, {"code": "another"}, {"code": ""}, {"iss": "https://other.test"}]
)
async def test_what_does_not_belong_to_the_attempt_is_refused(scene: Scene, change: dict[str, str]) -> None:
    fields = await scene.arrive(await scene.leave())
    assert (await scene.finish(fields | change)).status == 401


@pytest.mark.usefixtures("bound")
async def test_a_code_is_good_for_the_browser_that_asked_and_once(scene: Scene) -> None:
    fields = await scene.arrive(await scene.leave())
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        other = Visitor(session, scene.visitor.base)
        assert (await other.post("/sign-in/callback", fields)).status == 401
        await other.get("/sign-in/issuer")
        assert (await other.post("/sign-in/callback", fields)).status == 401
    assert (await scene.finish(fields)).status == 303
    assert (await scene.finish(fields)).status == 401
    assert len(scene.issuer.calls) == 1


async def test_no_other_site_finishes_a_sign_in(scene: Scene) -> None:
    fields = await scene.arrive(await scene.leave())
    seen = await scene.visitor.post("/sign-in/callback", fields, **{"Sec-Fetch-Site": "cross-site"})
    assert seen.status == 403


async def test_an_error_of_the_issuer_is_told_by_its_code_alone(scene: Scene) -> None:
    for error, said in (("access_denied", "(access_denied)"), ("<b>x</b>", "(an error)")):
        seen = await scene.visitor.get(f"/sign-in/callback?{URL.build(query={'error': error}).query_string}")
        assert seen.status == 401
        assert said in seen.text


async def test_an_issuer_that_is_away_is_no_fault_of_the_visitor(
    scene: Scene, database: Database, away_objects: ObjectStore
) -> None:
    settings = settings_of(scene.issuer, f"http://127.0.0.1:{closed_port()}/token")
    async with (
        open_issuer_client(settings) as client,
        open_portal(database, scene.keys, away_objects, issuer=client) as base,
        aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session,
    ):
        away = Scene(scene.issuer, Visitor(session, base), scene.keys)
        assert (await away.sign_in()).status == 503


async def test_without_an_issuer_there_is_no_such_way(database: Database, away_objects: ObjectStore) -> None:
    async with (
        open_portal(database, KeyStore(database, PEPPERS), away_objects) as base,
        aiohttp.ClientSession() as session,
    ):
        visitor = Visitor(session, base)
        assert "Sign in at" not in (await visitor.get("/sign-in")).text
        assert (await visitor.get("/sign-in/issuer")).location == "/portal/sign-in"


def test_the_settings_go_together(tmp_path: Path) -> None:
    address = HttpUrl("https://issuer.example.org/token")
    for wrong in (
        {"portal_issuer": tmp_path},
        {"portal_token_url": address},
        {
            "portal_issuer": tmp_path,
            "portal_token_url": address,
            "portal_authorization_url": HttpUrl("http://issuer.example.org/authorize"),
        },
    ):
        with pytest.raises(ValidationError, match="EXHAUST_PORTAL_"):
            IssuerSettings.model_validate(wrong)
