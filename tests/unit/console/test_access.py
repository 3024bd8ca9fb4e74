"""Who may act on the console: every route that changes something, every way to be somebody, and forms of others."""

from __future__ import annotations

import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import pytest
from pydantic import ValidationError

from admin.test_issuer import make_issuer
from services.console.actions import ACTIONS, SHOW_PAYLOAD
from services.console.csrf import COOKIE, VALID_FOR, Csrf
from services.console.roles import Caller, Role, ToldBy
from services.console.settings import ConsoleSettings
from tests.support.console_app import ASHA, AT_LOOPBACK, BEHIND_PROXY, BEN, BROWSER, VIEWER, Person, open_console
from tests.support.console_tokens import mint_with_roles

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.console_app import Client

NAMES: Final = {*(action.name for action in ACTIONS), SHOW_PAYLOAD}
REASON: Final = "a reason"
GOOD: Final[dict[str, dict[str, Any]]] = {
    "retry": {"targets": [str(uuid4())]},
    "retry-cause": {"code": "SOURCE_OBJECT_UNREADABLE"},
    "cancel": {"targets": [str(uuid4())]},
    "pause": {"partner": "org.example.partner"},
    "resume": {"dataset": "eks-consumption-raw"},
    "redrive": {"targets": ["0/1"]},
    "show-payload": {"targets": ["0/1"]},
}
FORBIDDEN: Final = 403


@asynccontextmanager
async def behind_proxy(**more: Any) -> AsyncIterator[Client]:
    async with open_console(BEHIND_PROXY, **more) as client:
        yield client


def changing_paths(client: Client) -> list[tuple[str, str]]:
    """Every route of the console that is no GET."""
    assert client.app is not None
    routes = client.app.router.routes()
    return [
        (route.method, str(route.resource.canonical))
        for route in routes
        if route.method not in {"GET", "HEAD"} and route.resource is not None
    ]


async def test_a_viewer_may_change_nothing_whatever_the_route() -> None:
    async with behind_proxy() as client:
        found = changing_paths(client)
        assert sorted(found) == sorted(("POST", f"/actions/{name}") for name in NAMES)
        for method, path in found:
            fields = GOOD[path.rpartition("/")[2]] | {"reason": REASON}
            for headers in ({}, VIEWER, {"X-Forwarded-User": "asha"}, {"X-Forwarded-Groups": "exhaust-operator"}):
                answer = await client.request(method, path, json=fields, headers=headers)
                assert answer.status == FORBIDDEN
                assert "only an operator may" in (await answer.json(content_type=None))["detail"]
            page = await client.request(method, path, data=fields, headers=VIEWER | BROWSER)
            assert (page.status, page.content_type) == (FORBIDDEN, "text/html")


@pytest.mark.parametrize("name", sorted(NAMES))
async def test_an_operator_comes_to_the_servers_which_are_away(name: str) -> None:
    async with behind_proxy() as client:
        asha = Person(client, ASHA)
        answer = await asha.send(name, reason=REASON, **GOOD[name])
        assert answer.status == 503, await answer.text()
        page = await asha.submit(name, reason=REASON, **GOOD[name])
        assert (page.status, page.content_type) == (503, "text/html"), await page.text()


async def test_a_console_without_the_role_of_actions_is_read_only_and_says_so() -> None:
    async with behind_proxy(acts=False) as client:
        asha = Person(client, ASHA)
        told = await (await asha.get("/actions")).json()
        assert (told["role"], told["mayact"], told["csrftoken"]) == ("operator", False, "")
        page = await (await asha.get("/actions", **BROWSER)).text()
        assert "This console is read-only" in page
        assert "<form" not in page
        for _, path in changing_paths(client):
            answer = await client.post(path, json={"reason": REASON}, headers=ASHA)
            assert answer.status == FORBIDDEN
            assert "read-only" in (await answer.json(content_type=None))["detail"]


@pytest.mark.parametrize("trusted", [[], ["192.0.2.0/24", "2001:db8::/32"]])
async def test_headers_of_others_than_trusted_proxies_are_ignored(trusted: list[str]) -> None:
    async with open_console({"console_proxies": trusted}) as client:
        told = await (await client.get("/actions", headers=ASHA | {"X-Forwarded-For": "192.0.2.1"})).json()
        assert (told["who"], told["role"], told["toldby"]) == ("", "viewer", "nobody")


@pytest.mark.parametrize(
    ("groups", "role"),
    [
        ("exhaust-operator", "operator"),
        ("a,exhaust-operator , b", "operator"),
        ("exhaust-operators", "viewer"),
        ("Exhaust-Operator", "viewer"),
        ("not exhaust-operator", "viewer"),
        ("", "viewer"),
    ],
)
async def test_the_role_of_a_proxy_is_a_whole_word(groups: str, role: str) -> None:
    async with behind_proxy() as client:
        headers = {"X-Forwarded-User": "asha", "X-Forwarded-Groups": groups}
        told = await (await client.get("/actions", headers=headers)).json()
        assert (told["who"], told["role"], told["toldby"]) == ("asha", role, "proxy")


@pytest.mark.parametrize(
    "headers",
    [
        [*ASHA.items(), ("X-Forwarded-User", "ben")],
        [*ASHA.items(), ("X-Forwarded-Groups", "staff")],
        [("X-Forwarded-User", "a" * 257), ("X-Forwarded-Groups", "exhaust-operator")],
        [("X-Forwarded-User", "as\u202eha"), ("X-Forwarded-Groups", "exhaust-operator")],
    ],
)
async def test_headers_that_say_two_things_or_no_name_are_refused(headers: list[tuple[str, str]]) -> None:
    async with behind_proxy() as client:
        assert (await client.get("/actions", headers=headers)).status == 400


async def test_whoever_is_at_a_machine_of_one_person_may_act_by_its_own_address_alone() -> None:
    async with open_console(AT_LOOPBACK) as client:
        assert (await (await client.get("/actions")).json())["toldby"] == "loopback"
        assert (await Person(client).send("pause", reason=REASON, **GOOD["pause"])).status == 503
        for headers in (
            {"Host": "evil.example"},  # DNS rebinding
            {"Host": "127.0.0.1.evil.example:80"},
            {"X-Forwarded-For": "203.0.113.7"},
            {"Forwarded": "for=203.0.113.7"},
            {"Via": "1.1 proxy"},
        ):
            told = await (await client.get("/actions", headers=headers)).json()
            assert told["role"] == "viewer", headers


@pytest.mark.parametrize("changes", [{"HOST": "192.0.2.1"}, {"CONSOLE_PROXIES": '["127.0.0.1"]'}])
def test_operators_at_loopback_need_a_listener_at_loopback(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, str]
) -> None:
    needed = {"PORT": "1", "POSTGRES_DSN": "postgresql://u@h/d", "KAFKA_BOOTSTRAP": "kafka.test:9092"}
    needed |= {"S3_ENDPOINT": "http://s3.test", "S3_RAW_BUCKET": "raw"}
    for name, value in (needed | {"CONSOLE_LOOPBACK_ROLE": "operator"}).items():
        monkeypatch.setenv(f"EXHAUST_{name}", value)
    assert ConsoleSettings().console_loopback_role == "operator"
    for name, value in changes.items():
        monkeypatch.setenv(f"EXHAUST_{name}", value)
    with pytest.raises(ValidationError, match="for a machine of one person"):
        ConsoleSettings()


async def test_a_token_of_a_configured_issuer_says_who_calls_and_needs_no_token_of_a_form(tmp_path: Path) -> None:
    local = make_issuer(tmp_path / "issuer", issuer="https://issuer.test", audience="exhaust-console")
    async with open_console({}, issuers=local.issuers_file) as client:
        for roles, role, status in (
            (["staff", "exhaust-operator"], "operator", 503),
            ("exhaust-operator", "operator", 503),
            (["staff"], "viewer", FORBIDDEN),
            ("staff exhaust-operator", "viewer", FORBIDDEN),
            ({"exhaust-operator": True}, "viewer", FORBIDDEN),
            (None, "viewer", FORBIDDEN),
        ):
            bearer = {"Authorization": f"Bearer {mint_with_roles(local, 'asha', roles)}"}
            answer = await client.get("/actions", headers=bearer)
            assert "Set-Cookie" not in answer.headers
            told = await answer.json()
            assert (told["who"], told["role"]) == ("asha of https://issuer.test", role)
            acted = await client.post("/actions/pause", json={"reason": REASON, **GOOD["pause"]}, headers=bearer)
            assert acted.status == status
        refused = await client.get("/actions", headers={"Authorization": "Bearer a.b.c"})
        assert (refused.status, (await refused.json(content_type=None))["code"]) == (401, "LOGIN_FAILED")
        assert (await client.get("/health/live", headers={"Authorization": "Bearer of-prometheus"})).status == 200


async def test_without_issuers_a_token_says_nothing() -> None:
    async with open_console({}) as client:
        told = await (await client.get("/actions", headers={"Authorization": "Bearer a.b.c"})).json()
        assert told["role"] == "viewer"


async def test_a_form_needs_the_token_of_the_person_who_sends_it() -> None:
    async with behind_proxy() as client:
        asha, ben = Person(client, ASHA), Person(client, BEN)
        ben_token, token = await ben.token(), await asha.token()
        fields = {"reason": REASON, **GOOD["pause"]}
        for headers in (
            {},
            {"X-CSRF-Token": ""},
            {"X-CSRF-Token": ben_token},
            {"X-CSRF-Token": token[:-1] + ("a" if token[-1] != "a" else "b")},
            {"X-CSRF-Token": token.partition(".")[2]},
            {"X-CSRF-Token": "9" + token},
            {"X-CSRF-Token": "é"},
        ):
            answer = await client.post("/actions/pause", json=fields, headers=ASHA | headers)
            assert answer.status == FORBIDDEN, headers
        assert (await client.post("/actions/pause", json=fields, headers=ASHA | {"X-CSRF-Token": token})).status == 503
        client.session.cookie_jar.clear()
        refused = await client.post("/actions/pause", json=fields, headers=ASHA | {"X-CSRF-Token": token})
        assert refused.status == FORBIDDEN, "the cookie did not come along"


@pytest.mark.parametrize(
    ("headers", "passes"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "none"}, False),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "OWN"}, False),
        ({"Origin": "OWN"}, True),
        ({"Origin": "null"}, False),
        ({"Origin": "https://evil.example"}, False),
        ({"Origin": "http://[evil"}, False),
        ({}, True),
    ],
)
async def test_pages_of_other_sites_can_send_nothing(headers: dict[str, str], *, passes: bool) -> None:
    async with behind_proxy() as client:
        asha = Person(client, ASHA)
        own = str(client.make_url("/")).rstrip("/")
        sent = {name: own if value == "OWN" else value for name, value in headers.items()}
        sent |= {"X-CSRF-Token": await asha.token(), **ASHA}
        answer = await client.post("/actions/pause", json={"reason": REASON, **GOOD["pause"]}, headers=sent)
        assert (answer.status != FORBIDDEN) is passes


async def test_the_cookie_stays_with_its_browser_and_is_the_same_in_all_tabs() -> None:
    async with behind_proxy() as client:
        made = []
        for proto in ("http", "https"):
            client.session.cookie_jar.clear()
            answer = await client.get("/actions", headers=ASHA | BROWSER | {"X-Forwarded-Proto": proto})
            cookie = answer.headers["Set-Cookie"]
            assert re.search(r"; HttpOnly; Path=/; SameSite=Strict", cookie)
            assert ("Secure" in cookie) is (proto == "https")
            made.append(cookie.partition(";")[0])
        assert made[0] == made[1]
        assert made[0].startswith(f"{COOKIE}=")
        assert "Set-Cookie" not in (await client.get("/actions", headers=VIEWER)).headers


def test_a_token_ends_with_a_shift_and_with_the_key() -> None:
    now = [1000.0]
    csrf, caller = Csrf(b"k" * 32, lambda: now[0]), Caller("asha", Role.OPERATOR, ToldBy.PROXY)
    nonce = csrf.nonce(caller)
    token = csrf.token(caller, nonce)
    csrf.check(caller, nonce, token)
    for other in (Csrf(None, lambda: now[0]), Csrf(b"l" * 32, lambda: now[0])):
        with pytest.raises(Exception, match="not one of yours"):
            other.check(caller, nonce, token)
    now[0] += VALID_FOR.total_seconds() + 1
    with pytest.raises(Exception, match="too old"):
        csrf.check(caller, nonce, token)


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{", {"Content-Type": "application/json"}, 400),
        (b"[]", {"Content-Type": "application/json"}, 400),
        (b'{"reason": "a", "reason": "b"}', {"Content-Type": "application/json"}, 400),
        (b'{"reason": "x", "partner": "p", "to": "dataset.days"}', {"Content-Type": "application/json"}, 400),
        (b'{"reason": "x", "partner": "p", "dataset": "d"}', {"Content-Type": "application/json"}, 400),
        (b'{"partner": "p"}', {"Content-Type": "application/json"}, 400),
        (b'{"reason": "", "partner": "p"}', {"Content-Type": "application/json"}, 400),
        (b'{"reason": "   ", "partner": "p"}', {"Content-Type": "application/json"}, 400),
        (b'{"reason": "%s", "partner": "p"}' % (b"r" * 501), {"Content-Type": "application/json"}, 400),
        (b'{"reason": "x\\u0000", "partner": "p"}', {"Content-Type": "application/json"}, 400),
        (b"{}", {"Content-Type": "text/plain"}, 415),
        (b"{}", {}, 415),
        (b"x=1", {"Content-Type": "multipart/form-data; boundary=x"}, 415),
        (b"reason=a&reason=b&partner=p", {"Content-Type": "application/x-www-form-urlencoded"}, 400),
        (b"reason=%ff&partner=p", {"Content-Type": "application/x-www-form-urlencoded"}, 400),
        (b"&".join([b"a=b"] * 3000), {"Content-Type": "application/x-www-form-urlencoded"}, 400),
        (b"x" * 70_000, {"Content-Type": "application/json"}, 413),
        (b"{}", {"Content-Type": "application/json", "Content-Encoding": "gzip"}, 415),
    ],
)
async def test_bodies_that_nobody_means_are_refused(body: bytes, headers: dict[str, str], status: int) -> None:
    async with behind_proxy() as client:
        sent = {"X-CSRF-Token": await Person(client, ASHA).token(), **ASHA, **headers}
        answer = await client.post("/actions/pause", data=body, headers=sent, skip_auto_headers=["Content-Type"])
        assert answer.status == status, await answer.text()
