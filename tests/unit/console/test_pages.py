"""The frame of pages: HTML or JSON at one address, errors as both, security headers, the prefix, names as text."""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from yarl import URL

from exhaust.errors import ErrorCode, ExhaustError, unavailable
from exhaust.http.pages import static_files
from exhaust.http.pages.static_files import StaticFiles
from exhaust.process.health import Health
from services.console import frame
from services.console.app import console_app
from services.console.frame import Frame
from services.console.pages import Page

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

BROWSER: Final = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
PROGRAM: Final = {"Accept": "application/json"}
MARKUP: Final = "<script>alert('org')</script>"
VERDICT: Final[dict[str, Any]] = {
    "stage": "plan",
    "word": "STUCK",
    "urgency": "page",
    "since": None,
    "do": "wait",
    "runbook": "Stuck",
    "sentence": MARKUP,
    "drains": None,
    "messages": None,
    "workdays": 3,
    "oldestseconds": 20.0,
    "grown": None,
    "requests": 1,
    "partners": 1,
    "held": 0,
    "paused": 0,
    "members": 1,
    "done": 7,
}
NOW: Final[dict[str, Any]] = {
    "at": "2026-11-30T03:00:00+00:00",
    "verdict": VERDICT,
    "workdays": 3,
    "exitcode": 2,
    "stages": [VERDICT],
    "openrequests": None,
    "unseen": [MARKUP],
    "causes": None,
    "deadletters": None,
    "pauses": [],
}


async def shown(request: web.Request) -> dict[str, Any]:
    match request.query.get("raise"):
        case "missing":
            raise ExhaustError(ErrorCode.NOT_FOUND, f"there is no {MARKUP}")
        case "away":
            raise unavailable("Kafka")
        case "defect":
            raise ZeroDivisionError(MARKUP)
        case "forbidden":
            raise web.HTTPForbidden
        case "hang":
            await asyncio.Event().wait()
    return NOW


PAGE: Final = Page("/now", "Now", "now.html", shown, frozenset({"raise"}))


@asynccontextmanager
async def console(prefix: str = "/", runbooks: str = "/runbooks/") -> AsyncIterator[TestClient[web.Request, Any]]:
    app = console_app(Health(), [PAGE], prefix=prefix, runbooks=runbooks)
    async with TestClient(TestServer(app)) as client:
        yield client


async def test_one_address_is_a_page_for_browsers_and_json_for_programs() -> None:
    async with console() as client:
        for headers in (PROGRAM, {"Accept": "*/*"}, {"Accept": "text/html;q=0.5, application/json"}):
            answer = await client.get("/now", headers=headers)
            assert (answer.content_type, await answer.json()) == ("application/json", NOW)
        page = await client.get("/now", headers=BROWSER)
        assert page.content_type == "text/html"
        assert "Accept" in page.headers["Vary"]
        assert (await page.text()).startswith("<!doctype html>")


async def test_htmx_gets_the_part_that_lives() -> None:
    async with console() as client:
        answer = await client.get("/now", headers=BROWSER | {"HX-Request": "true"})
        text = await answer.text()
    assert "<html" not in text
    assert "<h1" in text


async def test_names_are_text() -> None:
    async with console() as client:
        for query in ("", "?raise=missing"):
            text = await (await client.get(f"/now{query}", headers=BROWSER)).text()
            assert MARKUP not in text
            assert "&lt;script&gt;alert" in text


def test_no_template_takes_markup_for_text_or_has_styles_and_scripts_of_its_own() -> None:
    for template in frame.FOLDER.rglob("*.html"):
        text = template.read_text()
        assert not re.search(r"\|\s*safe\b|autoescape|<style|\bstyle=|<script(?! src=)|\bon[a-z]+=|javascript:", text)


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("unknown=1", 400, "INVALID_DATA_ERROR"),
        ("raise=a&raise=b", 400, "INVALID_DATA_ERROR"),
        ("raise=forbidden", 403, "AUTHORIZATION_FAILED"),
        ("raise=missing", 404, "NOT_FOUND"),
        ("raise=defect", 500, "INTERNAL_ERROR"),
        ("raise=away", 503, "SERVICE_UNAVAILABLE"),
        ("raise=hang", 503, "SERVICE_UNAVAILABLE"),
    ],
)
async def test_an_error_is_a_page_for_browsers_and_a_problem_for_programs(query: str, status: int, code: str) -> None:
    async with console() as client:
        began = asyncio.get_running_loop().time()
        answer = await client.get(f"/now?{query}", headers=PROGRAM)
        assert asyncio.get_running_loop().time() - began < 2
        assert (answer.status, answer.content_type) == (status, "application/problem+json")
        told = json.loads(await answer.read())
        assert (told["status"], told["code"]) == (status, code)
        assert MARKUP not in told["detail"] or status == 404
        page = await client.get(f"/now?{query}", headers=BROWSER)
        assert (page.status, page.content_type) == (status, "text/html")
        assert f"<h1>{status} " in await page.text()
        assert ("Retry-After" in page.headers) is (status == 503)


async def test_an_unknown_parameter_is_named() -> None:
    async with console() as client:
        answer = await client.get("/now?stat=open", headers=BROWSER)
        assert "<code>?stat</code>" in await answer.text()


async def test_paths_and_methods_that_do_not_exist_are_refused() -> None:
    async with console() as client:
        assert (await client.get("/nothing", headers=BROWSER)).status == 404
        refused = await client.post("/now", headers=PROGRAM)
        assert (refused.status, refused.headers["Allow"]) == (405, "GET,HEAD")


async def test_every_answer_has_the_security_headers() -> None:
    async with console() as client:
        for path in ("/now", "/nothing", "/now?raise=defect", "/metrics", "/"):
            for headers in (BROWSER, PROGRAM):
                answer = await client.get(path, headers=headers, allow_redirects=False)
                policy = answer.headers["Content-Security-Policy"]
                assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
                assert "unsafe" not in policy
                assert answer.headers["X-Content-Type-Options"] == "nosniff"
                assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("prefix", ["/", "/operators/exhaust"])
async def test_all_addresses_of_a_page_lie_under_the_prefix(prefix: str) -> None:
    start = prefix.rstrip("/")
    async with console(prefix) as client:
        for path in {f"{start}/", start or "/"}:
            answer = await client.get(path, allow_redirects=False)
            assert (answer.status, answer.headers["Location"]) == (302, f"{start}/now")
        text = await (await client.get(f"{start}/now", headers=BROWSER)).text()
        addresses = re.findall(r"(?:href|src)=\"([^\"#]+)\"", text)
        assert f"{start}/runbooks/Stuck" in addresses
        assert all(address.startswith(f"{start}/") for address in addresses)
        for address in addresses:
            if "/static/" in address:
                served = await client.get(URL(address, encoded=True))
                assert served.status == 200
                assert "immutable" in served.headers["Cache-Control"]
        assert (await client.get("/health/live")).status == 200


async def test_runbooks_may_stand_elsewhere() -> None:
    async with console(runbooks="https://wiki.example/runbooks/") as client:
        text = await (await client.get("/now", headers=BROWSER)).text()
    assert 'href="https://wiki.example/runbooks/Stuck.md"' in text


def test_the_name_of_a_static_file_changes_with_its_content() -> None:
    files = StaticFiles()
    assert re.fullmatch(r"pages\.[0-9a-f]{12}\.css", files.hashed("pages.css"))
    with pytest.raises(KeyError):
        files.hashed("../settings.py")


def test_each_script_of_others_has_its_licence_and_its_version() -> None:
    vendor = static_files.SHARED / "vendor"
    told = (vendor / "README.md").read_text()
    scripts = [path.name for path in vendor.iterdir() if path.suffix in {".js", ".css"}]
    assert scripts
    for name in scripts:
        assert name in told
        assert (vendor / f"{name.partition('.')[0]}.LICENSE").is_file()


def test_addresses_take_whatever_an_operator_names() -> None:
    made = Frame(StaticFiles(), [], prefix="/x").url("/requests", "a/b?c", code="A&B", older=None, partner="ü <")
    assert made == "/x/requests/a%2Fb%3Fc?code=A%26B&partner=%C3%BC+%3C"
