"""Attacks on the console: foreign pages, names of others, bodies nobody means, forms sent twice, ways to elsewhere."""

from __future__ import annotations

import asyncio
import getpass
import html
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit
from uuid import uuid4

import aiohttp
import pytest
from yarl import URL

from tests.attacks.processes import Log

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from deploy.local.stack import Stack
    from tests.attacks.rows import Rows

FORM: Final = "application/x-www-form-urlencoded"
MARKUP: Final = "<script>alert(1)</script><img src=x onerror=alert(1)>{{ 7*7 }}"
AUDIT: Final = "SELECT actor, action, subject, detail->>'reason' AS reason FROM audit WHERE detail->>'reason' = $1"
PAUSES: Final = "SELECT count(*) FROM pauses"
FORBIDDEN: Final = 403


@dataclass(frozen=True)
class Browser:
    """A browser at the machine of the local stack, whose person is an operator there."""

    session: aiohttp.ClientSession
    base: str

    async def token(self) -> str:
        async with self.session.get(f"{self.base}/actions", headers={"Accept": "application/json"}) as answer:
            return str((await answer.json())["csrftoken"])

    async def post(
        self, path: str, *, data: object = None, body: object = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, str]:
        given = {"Accept": "application/json", **(headers or {})}
        async with self.session.post(f"{self.base}{path}", data=data, json=body, headers=given) as answer:
            return answer.status, await answer.text()


@pytest.fixture
async def browser(stack: Stack) -> AsyncIterator[Browser]:
    async with aiohttp.ClientSession(
        cookie_jar=aiohttp.CookieJar(unsafe=True), timeout=aiohttp.ClientTimeout(total=60)
    ) as session:
        found = Browser(session, stack.console)
        assert await found.token()
        yield found


def pausing(reason: str, partner: str = "org.example.attacked") -> dict[str, str]:
    return {"partner": partner, "reason": reason}


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost.evil.example"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
        {"Sec-Fetch-Site": "same-site"},
        {"Host": "evil.example"},
        {"Host": "evil.example", "Origin": "http://evil.example", "Sec-Fetch-Site": "same-origin"},
        {"X-Forwarded-For": "127.0.0.1"},
        {"X-Forwarded-User": "root", "X-Forwarded-Groups": "exhaust-operator", "Via": "1.1 evil"},
    ],
)
async def test_a_foreign_page_changes_nothing_even_with_a_good_token(
    browser: Browser, rows: Rows, headers: dict[str, str]
) -> None:
    reason = uuid4().hex
    sent = {"X-CSRF-Token": await browser.token(), **headers}
    for kind in ({"body": pausing(reason)}, {"data": pausing(reason) | {"confirmed": "yes"}}):
        status, _ = await browser.post("/actions/pause", headers=sent, **kind)
        assert status == FORBIDDEN
    assert await rows.pool.fetch(AUDIT, reason) == []


async def test_what_a_foreign_form_can_send_has_no_token(browser: Browser, rows: Rows) -> None:
    reason = uuid4().hex
    fields = pausing(reason) | {"confirmed": "yes"}
    written = json.dumps(pausing(reason)).encode()
    for sent, kind in (
        (fields, None),
        (fields | {"csrf_token": ""}, None),
        (fields | {"csrf_token": "1.x"}, None),
        (written, "text/plain"),
        (written, FORM),
        (written, "application/json;charset=utf-8"),
    ):
        headers = {"Content-Type": kind} if kind else {}
        status, _ = await browser.post("/actions/pause", data=sent, headers=headers)
        assert status in {400, FORBIDDEN, 415}
    assert await rows.pool.fetch(AUDIT, reason) == []


async def test_a_caller_gets_no_other_name_into_the_audit(browser: Browser, rows: Rows) -> None:
    reason = uuid4().hex
    token = {"X-CSRF-Token": await browser.token()}
    forged: tuple[dict[str, Any], ...] = (
        {"actor": "operator/root"},
        {"who": "root"},
        {"order": {"actor": "x"}},
        {"__proto__": {}},
    )
    for more in forged:
        status, text = await browser.post("/actions/pause", body={**pausing(reason), **more}, headers=token)
        assert status == 400
        assert next(iter(more)) in text
    named = token | {"X-Forwarded-User": "the-director", "X-Forwarded-Groups": "exhaust-operator", "From": "x"}
    assert (await browser.post("/actions/pause", body=pausing(reason), headers=named))[0] == 200
    assert (await browser.post("/actions/resume", body=pausing(reason), headers=token))[0] == 200
    found = await rows.pool.fetch(AUDIT, reason)
    assert [row["action"] for row in found] == ["pause", "resume"]
    for row in found:
        # On a machine of one person that is the account of the console.
        assert row["actor"] == f"operator/exhaust_operator/{getpass.getuser()}"


async def test_bodies_that_nobody_means_cost_a_refusal(browser: Browser) -> None:
    token = {"X-CSRF-Token": await browser.token()}
    as_json, as_form = token | {"Content-Type": "application/json"}, token | {"Content-Type": FORM}
    log = Log("console")
    for data, headers, status in (
        (b"x" * 1_000_000, as_json, 413),
        (b"[" * 60_000, as_json, 400),
        (b'{"reason":' * 6_000, as_json, 400),
        (b"&".join(b"targets=%d" % number for number in range(2_500)), as_form, 400),
        (b"reason=%00&partner=p", as_form, 400),
        (b"reason=" + b"%F0%9F%92%A9" * 4_000 + b"&partner=p", as_form, 400),
        (json.dumps({"reason": "x", "targets": [str(uuid4())] * 1_001}).encode(), as_json, 400),
        (json.dumps({"reason": "\ud800", "partner": "p"}).encode(), as_json, 400),
        (b"", as_json, 400),
        (b"", as_form, 400),
    ):
        path = "/actions/retry" if b"targets" in data else "/actions/pause"
        answered, text = await browser.post(path, data=data, headers=headers)
        assert answered == status, text
        assert len(text) < 10_000
    assert [entry for entry in log.entries if entry["event"] == "http.failed"] == []


async def test_markup_is_text_wherever_it_comes_back(browser: Browser) -> None:
    token = {"X-CSRF-Token": await browser.token()}
    fields = pausing(MARKUP, partner=f"org.{MARKUP}")
    assert (await browser.post("/actions/pause", body=fields, headers=token))[0] == 200
    try:
        for path in ("/actions", "/now", f"/actions?{MARKUP}", f"/{MARKUP}"):
            async with browser.session.get(f"{browser.base}{path}", headers={"Accept": "text/html"}) as page:
                text = await page.text()
                assert MARKUP not in text
                assert "alert(1)</script>" not in text
                assert html.escape(MARKUP) in text or path != "/actions"
                assert "unsafe" not in page.headers["Content-Security-Policy"]
        _, shown = await browser.post(
            "/actions/resume", data=fields, headers=token | {"Accept": "text/html", "Content-Type": FORM}
        )
        assert html.escape(MARKUP) in shown
        assert MARKUP not in shown
    finally:
        assert (await browser.post("/actions/resume", body=fields, headers=token))[0] == 200


async def test_a_form_that_is_sent_many_times_at_once_counts_once(browser: Browser, rows: Rows) -> None:
    reason, partner = uuid4().hex, f"org.example.{uuid4().hex}"
    token = {"X-CSRF-Token": await browser.token()}
    fields = pausing(reason, partner) | {"confirmed": "yes"}
    answers = await asyncio.gather(*(browser.post("/actions/pause", data=fields, headers=token) for _ in range(12)))
    done = [json.loads(text)["done"] for status, text in answers if status == 200]
    assert sum(done) == 1
    assert {status for status, _ in answers} <= {200, 429}
    assert len(await rows.pool.fetch(AUDIT, reason)) == 1
    assert (await browser.post("/actions/resume", body=pausing(reason, partner), headers=token))[0] == 200


async def test_no_way_leads_elsewhere(browser: Browser) -> None:
    for path in (
        *("/", "//evil.example", "//evil.example/now", "/\\evil.example", "/%2f%2fevil.example", "/.//evil.example"),
        *(
            "/now?next=https://evil.example",
            "/actions?return=//evil.example",
            "/%0d%0aLocation:%20https://evil.example",
        ),
    ):
        url = URL(f"{browser.base}{path}", encoded=True)
        async with browser.session.get(url, allow_redirects=False, headers={"Accept": "text/html"}) as answer:
            location = answer.headers.get("Location", "/now")
            assert (urlsplit(location).netloc, location.startswith("//")) == ("", False)
    token = {"X-CSRF-Token": await browser.token()}
    status, text = await browser.post(
        "/actions/pause", body=pausing("x") | {"next": "https://evil.example"}, headers=token
    )
    assert (status, "next" in text) == (400, True)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(("GET", f"/actions/{name}?reason=x&confirmed=yes&partner=p") for name in ("pause", "retry", "redrive")),
        ("HEAD", "/actions/pause?reason=x&partner=p"),
        ("OPTIONS", "/actions/pause"),
        ("PUT", "/actions/pause"),
        ("DELETE", "/actions/pause"),
        ("POST", "/now"),
        ("POST", "/actions"),
        ("PATCH", "/actions/retry"),
    ],
)
async def test_other_methods_change_nothing(browser: Browser, rows: Rows, method: str, path: str) -> None:
    before = await rows.pool.fetchval(PAUSES), await rows.pool.fetchval("SELECT count(*) FROM audit")
    headers = {"X-HTTP-Method-Override": "POST", "X-CSRF-Token": await browser.token()}
    async with browser.session.request(method, f"{browser.base}{path}", headers=headers) as answer:
        assert answer.status in {400, FORBIDDEN, 405, 415}
    assert (await rows.pool.fetchval(PAUSES), await rows.pool.fetchval("SELECT count(*) FROM audit")) == before


async def test_two_hosts_or_two_lengths_are_refused(stack: Stack) -> None:
    place = urlsplit(stack.console)
    for head in (
        b"GET /actions HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\n\r\n",
        b"POST /actions/pause HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
        b"POST /actions/pause HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\nContent-Length: 20\r\n\r\n{}",
    ):
        reader, writer = await asyncio.open_connection(place.hostname, place.port)
        writer.write(head)
        status = (await asyncio.wait_for(reader.readline(), 10)).split()[1]
        assert status in {b"400", b"403"}
        writer.close()
        await writer.wait_closed()


async def test_the_answer_to_an_operator_tells_no_secret(browser: Browser) -> None:
    told: dict[str, Any] = {}
    async with browser.session.get(f"{browser.base}/actions", headers={"Accept": "application/json"}) as answer:
        told = await answer.json()
    assert sorted(told) == ["csrftoken", "mayact", "pauses", "readonly", "role", "toldby", "unseen", "who"]
    async with browser.session.get(f"{browser.base}/actions", headers={"Host": "evil.example"}) as answer:
        assert (await answer.json(content_type=None))["csrftoken"] == ""
