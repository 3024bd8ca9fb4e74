"""CORS: a browser lets pages of other origins call the gateway only when a setting names their origin."""

from collections.abc import AsyncIterator, Mapping

import pytest

from exhaust.kafka.producer import Producer
from exhaust.postgres.database import Database
from exhaust.s3.store import ObjectStore
from tests.integration.conftest import RESOURCE, Ask, Gateway, assert_refused, open_gateway, with_grants, written

PORTAL, OTHER = "https://portal.example.org", "https://other.example.org"
V3 = f"/data/v3/datasets/eks-consumption-raw/{RESOURCE}"
STRANGERS = [
    OTHER,
    "null",
    "",
    "*",
    "http://portal.example.org",
    "https://portal.example.org.evil.test",
    "https://portal.example.org:8443",
    "https://PORTAL.example.org",
    "https://evil.test/https://portal.example.org",
]


@pytest.fixture
async def open_to_portal(
    database: Database, owner_database: Database, producer: Producer, away_objects: ObjectStore
) -> AsyncIterator[Gateway]:
    async with open_gateway(database, producer, away_objects, origins=[PORTAL]) as opened:
        yield await with_grants(opened, owner_database)


async def preflight(
    gateway: Gateway, path: str, origin: str, method: str = "POST"
) -> tuple[int, bytes, dict[str, str]]:
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "content-type, idempotency-key, x-api-key",
    }
    async with gateway.session.options(gateway.base + path, headers=asked) as answer:
        return answer.status, await answer.read(), {name.lower(): value for name, value in answer.headers.items()}


def cors(headers: Mapping[str, str]) -> set[str]:
    return {name for name in headers if name.lower().startswith("access-control-")}


def listed(text: str) -> set[str]:
    return {name.strip().lower() for name in text.split(",")}


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/v1/client", {"post"}),
        (Ask().path, {"post"}),
        (Ask().path.replace("/v2", "/v1"), {"get", "head", "post"}),
        ("/v2/datasets/requests/org.example", {"delete", "get", "head", "post"}),
        (V3, {"get", "head", "post"}),
    ],
)
async def test_a_preflight_of_an_allowed_origin_is_answered(
    open_to_portal: Gateway, database: Database, path: str, methods: set[str]
) -> None:
    before = await written(database)
    status, body, headers = await preflight(open_to_portal, path, PORTAL)
    assert (status, body, headers["access-control-allow-origin"]) == (204, b"", PORTAL)
    assert listed(headers["access-control-allow-methods"]) == methods
    assert listed(headers["access-control-allow-headers"]) >= {
        *("content-type", "authorization", "x-api-key", "x-channel-id", "idempotency-key", "range", "if-range"),
        "last-event-id",
    }
    assert int(headers["access-control-max-age"]) > 0
    assert "access-control-allow-credentials" not in headers
    assert "Origin" in headers["vary"]
    assert "ratelimit-remaining" in headers  # it is a call like others
    assert await written(database) == before


async def test_a_call_of_an_allowed_origin_and_its_refusal_can_be_read(open_to_portal: Gateway) -> None:
    good = await open_to_portal.ask(Ask(headers={"Origin": PORTAL}))
    wrong = await open_to_portal.ask(Ask(headers={"Origin": PORTAL}, request={"licenseKey": "wrong"}))
    unknown = await open_to_portal.call("/v1/nothing", b"{}", headers={"Origin": PORTAL})
    assert (good.status, wrong.status, unknown.status) == (202, 401, 404)
    for reply in (good, wrong, unknown):
        assert reply.headers["Access-Control-Allow-Origin"] == PORTAL
        assert reply.headers["Vary"] == "Origin"
        assert listed(reply.headers["Access-Control-Expose-Headers"]) >= {
            *("etag", "location", "retry-after", "content-range", "content-disposition", "x-request-id"),
        }


@pytest.mark.parametrize("origin", STRANGERS)
async def test_another_origin_finds_no_cors(open_to_portal: Gateway, origin: str) -> None:
    status, _, headers = await preflight(open_to_portal, Ask().path, origin)
    assert (status, cors(headers), headers["vary"]) == (405, set(), "Origin")
    reply = await open_to_portal.ask(Ask(headers={"Origin": origin}))
    assert (reply.status, cors(reply.headers)) == (202, set())


async def test_options_is_answered_for_preflights_only(open_to_portal: Gateway) -> None:
    for headers in ({}, {"Origin": PORTAL}):
        reply = await open_to_portal.call(Ask().path, None, method="OPTIONS", headers=headers)
        assert_refused(reply, 405, "METHOD_NOT_ALLOWED", ver="1.0")
        assert reply.headers["Allow"] == "POST"
    assert (await preflight(open_to_portal, "/v1/nothing", PORTAL))[0] == 404


async def test_without_the_setting_there_is_no_cors(gateway: Gateway) -> None:
    for origin in (PORTAL, OTHER):
        status, _, headers = await preflight(gateway, Ask().path, origin)
        assert (status, cors(headers)) == (405, set())
        reply = await gateway.ask(Ask(headers={"Origin": origin}))
        assert (reply.status, cors(reply.headers)) == (202, set())


async def test_the_internal_listener_has_no_cors(open_to_portal: Gateway) -> None:
    reply = await open_to_portal.internal.call("/v1/admin/audit", b"{}", headers={"Origin": PORTAL})
    assert (reply.status, cors(reply.headers)) == (401, set())
