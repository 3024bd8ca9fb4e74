"""GET /contract shows all that the contract says, from this listener alone."""

import json
import re

import pytest
import yaml
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from exhaust_contract.documents import KINDS, VARIANTS, example, schema
from exhaust_contract.refusals import RefusalCode

from services.gateway.contract_document import fields
from services.gateway.handlers.contract import contract_routes
from services.gateway.handlers.help import help_routes

LINK = re.compile(r'(?:src|href)="([^"#][^"]*)"')


def client() -> TestClient[web.Request, web.Application]:
    app = web.Application()
    app.add_routes(contract_routes())
    app.add_routes(help_routes())
    return TestClient(TestServer(app))


async def test_the_page_runs_no_script_and_every_link_of_it_leads_somewhere() -> None:
    async with client() as asked:
        answer = await asked.get("/contract")
        text = await answer.text()
        linked = set(LINK.findall(text)) - {"data:,"}
        found = {link: (await asked.get(f"/{link}")).status for link in linked}
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'self'")
    assert "unsafe-" not in policy
    assert "<script" not in text
    assert "style=" not in text
    assert "`" not in text
    assert set(found.values()) == {200}
    assert len(found) == 2 + 6 + len(KINDS) * len(VARIANTS)  # styles; AsyncAPI and schemas; examples
    assert set(re.findall(r'href="#([^"]+)"', text)) <= set(re.findall(r'<section id="([^"]+)"', text))


async def test_the_page_has_every_event_field_header_and_code() -> None:
    async with client() as asked:
        text = await (await asked.get("/contract")).text()
    for kind in KINDS:
        assert kind.type in text
    for name in ("headers", *(kind.topic for kind in KINDS)):
        for field in fields(schema(name)):
            assert f"<code>{field.pointer}</code>" in text
    for place in ("/archive/size", "/day/state", "/error/code", "/days/*/since"):
        assert f"<code>{place}</code>" in text
    for code in RefusalCode:
        assert f"<td><code>{code.value}</code></td>" in text


async def test_documents_are_served_as_they_are() -> None:
    async with client() as asked:
        api = await asked.get("/contract/asyncapi.yaml")
        assert (api.content_type, yaml.safe_load(await api.text())["asyncapi"]) == ("application/yaml", "3.0.0")
        told = await asked.get("/contract/dataset.completions.schema.json")
        assert told.content_type == "application/schema+json"
        assert json.loads(await told.text()) == schema("dataset.completions")
        shown = await asked.get("/contract/examples/completed.refused.json")
        assert await shown.json() == example("completed", "refused")


@pytest.mark.parametrize(
    "path", ["/contract/nothing.json", "/contract/..%2Fpage.css", "/contract/examples/beat.json", "/contract/examples"]
)
async def test_a_document_that_is_none_is_not_found(path: str) -> None:
    async with client() as asked:
        answer = await asked.get(path)
        assert (answer.status, (await answer.json())["params"]["err"]) == (404, "NOT_FOUND")


@pytest.mark.parametrize("path", ["/contract", "/contract/asyncapi.yaml", "/contract/examples/beat.least.json"])
async def test_an_unknown_query_parameter_is_refused_by_name(path: str) -> None:
    async with client() as asked:
        answer = await asked.get(path, params={"version": "1"})
        assert answer.status == 400
        assert "version" in (await answer.json())["params"]["errmsg"]
