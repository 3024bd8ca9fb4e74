"""GET /help explains every error code, and nothing points to a code that it does not know."""

import json
import re
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from exhaust.errors import HELP_PATH, HTTP_STATUS, RETRYABLE, ErrorCode, help_address
from services.gateway.error_help import ERROR_HELP, TOPICS
from services.gateway.handlers.help import help_document, help_routes

ROOT = Path(__file__).parents[3]
ANCHOR = re.compile(r"/help#([A-Za-z_-]+)")
FOLDERS = ("schemas", "exhaust", "services", "admin", "client/src", "docs", "tests")
SUFFIXES = {".py", ".yaml", ".md", ".html", ".sql"}
A_PLACEHOLDER = {"CODE"}


def client() -> TestClient[web.Request, web.Application]:
    app = web.Application()
    app.add_routes(help_routes())
    return TestClient(TestServer(app))


@pytest.mark.parametrize("code", ErrorCode)
def test_every_code_has_an_entry(code: ErrorCode) -> None:
    said = ERROR_HELP[code]
    assert said.means.endswith(".")
    assert said.why
    assert said.do
    assert all(text.strip() for text in (*said.why, *said.do))


def test_nothing_points_to_an_anchor_that_is_not_there() -> None:
    files = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.suffix in SUFFIXES]
    named = {anchor: path for path in files for anchor in ANCHOR.findall(path.read_text("utf-8"))}
    assert len(files) > 100
    assert set(named) - set(ErrorCode) - set(TOPICS) - A_PLACEHOLDER == set(), named


async def test_the_page_has_an_anchor_for_every_code_and_loads_only_its_style() -> None:
    async with client() as asked:
        answer = await asked.get(HELP_PATH, headers={"Accept": "text/html,*/*;q=0.8"})
        text = await answer.text()
        policy = answer.headers["Content-Security-Policy"]
        style = await asked.get("/docs/help.css")
    assert (answer.content_type, style.content_type, style.status) == ("text/html", "text/css", 200)
    assert policy.startswith("default-src 'none'; style-src 'self'")
    assert "unsafe-" not in policy
    assert "<script" not in text
    assert "style=" not in text
    anchors = {help_address(code).partition("#")[2] for code in ErrorCode} | set(TOPICS)
    assert set(re.findall(r'<section id="([^"]+)"', text)) == anchors
    assert set(re.findall(r'href="#([^"]+)"', text)) == anchors
    assert set(re.findall(r'(?:src|href)="([^"#]+)"', text)) == {"data:,", "docs/help.css", "docs"}


async def test_a_program_gets_json_and_anybody_else_the_page() -> None:
    async with client() as asked:
        answer = await asked.get(HELP_PATH, headers={"Accept": "application/json"})
        assert await answer.json() == json.loads(json.dumps(help_document()))
        assert answer.headers["Vary"] == "Accept"
        assert (await asked.get(HELP_PATH, headers={"Accept": "*/*"})).content_type == "text/html"
    told = {entry["code"]: (entry["httpstatus"], entry["retryable"]) for entry in help_document()["codes"]}
    assert told == {code: (HTTP_STATUS.get(code), code in RETRYABLE) for code in ErrorCode} | {
        "INTERNAL_ERROR": (500, False)
    }


async def test_an_unknown_query_parameter_is_refused_by_name() -> None:
    async with client() as asked:
        answer = await asked.get(HELP_PATH, params={"code": "NO_PROGRESS"})
        assert answer.status == 400
        assert "code: this operation has no such query parameter" in (await answer.json())["params"]["errmsg"]
