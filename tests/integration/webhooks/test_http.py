"""The calls about webhooks: each holder's own, and nothing that tells a foreign webhook from an unknown one."""

import json
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import aiohttp
import pytest

from exhaust.domain.catalogue import load_catalogue
from exhaust.http.app import edge_app
from exhaust.http.endpoint import HttpMetrics
from exhaust.http.listener import open_listener
from exhaust.metrics.registry import MetricRegistry
from exhaust.postgres.audit import AuditFilter, find_audit_entries
from exhaust.postgres.database import Database
from exhaust.postgres.grants import GrantStore
from exhaust.postgres.license_keys import KeyStore
from exhaust.postgres.token_subjects import TokenSubjects
from exhaust.tokens.verifier import open_token_verifier
from exhaust.webhooks.secrets import SecretSeal
from services.gateway.api_document import load_document
from services.gateway.auth.access import Access
from services.gateway.handlers.webhooks import SENDS_AN_HOUR, SENDS_OF_A_TEST, WebhookHandler
from services.gateway.rate_limits import RateLimits
from services.gateway.settings import LimitSettings
from services.gateway.webhook_service import WebhookService
from tests.integration.conftest import PEPPERS
from tests.integration.webhooks.conftest import KEYS
from tests.support.forbidden_addresses import FORBIDDEN
from tests.support.s3_proxy import closed_port

URL = "https://receiver.example.org/hooks"
GOOD: dict[str, Any] = {"url": URL, "events": ["request.complete", "request.failed"]}


@dataclass(frozen=True)
class Reply:
    status: int
    body: Any

    @property
    def told(self) -> tuple[int, str, str]:
        return self.status, self.body["params"]["err"], self.body["params"]["errmsg"]


@dataclass(frozen=True)
class Caller:
    """A caller of /v2/webhooks, and what its names resolve to."""

    session: aiohttp.ClientSession
    base: str
    license_key: str

    async def __call__(self, method: str, path: str = "", request: object = None) -> Reply:
        body = None if request is None else json.dumps({"request": request})
        headers = {"X-API-Key": self.license_key, "Content-Type": "application/json"}
        async with self.session.request(method, f"{self.base}/v2/webhooks{path}", data=body, headers=headers) as answer:
            return Reply(answer.status, await answer.json())


class Names:
    """A lookup whose answer can change."""

    def __init__(self) -> None:
        self.addresses: Sequence[str] = ("8.8.8.8",)

    async def __call__(self, host: str) -> Sequence[str]:
        return [host] if host[0].isdigit() or ":" in host else self.addresses


@pytest.fixture
def names() -> Names:
    return Names()


@pytest.fixture
async def callers(database: Database, names: Names) -> AsyncIterator[list[Caller]]:
    """Two holders of license keys."""
    limits = LimitSettings(holder_calls_per_minute=100_000)
    async with aiohttp.ClientSession() as session, open_token_verifier(None) as tokens:
        keys = KeyStore(database, PEPPERS)
        rates = RateLimits(limits, time.monotonic)
        access = Access(keys, TokenSubjects(database), GrantStore(database), load_catalogue(None), tokens, rates)
        handler = WebhookHandler(WebhookService(database, SecretSeal(KEYS), names, ()), access, database)
        app = edge_app()
        app.add_routes(handler.routes(HttpMetrics(MetricRegistry())))
        port = closed_port()
        async with open_listener(app, "127.0.0.1", port):
            made = [await keys.register(name, "dashboard") for name in ("maple", "oak")]
            yield [Caller(session, f"http://127.0.0.1:{port}", key) for key in made]


async def create(caller: Caller, **changes: object) -> dict[str, Any]:
    reply = await caller("POST", request=GOOD | changes)
    assert reply.status == 201, reply.body
    found: dict[str, Any] = reply.body["result"]
    return found


async def test_a_webhook_from_its_registration_to_its_end(callers: list[Caller], database: Database) -> None:
    maple, _ = callers
    made = await create(maple)
    path, secret = f"/{made['webhook']['id']}", made["secret"]
    assert secret.startswith("whsec_")
    shown = (await maple("GET", path)).body["result"]["webhook"]
    assert shown == made["webhook"]
    assert (shown["url"], shown["enabled"]) == (URL, True)
    assert (await maple("GET")).body["result"]["webhooks"] == [shown]
    rotated = (await maple("POST", f"{path}/rotate", {})).body["result"]
    assert rotated["secret"] not in {secret, ""}
    assert rotated["webhook"]["oldsecretuntil"]
    changed = await maple("PATCH", path, {"enabled": False, "events": ["request.failed"], "url": f"{URL}/2"})
    assert changed.body["result"]["webhook"] | {"offsince": ""} == {
        **rotated["webhook"],
        "enabled": False,
        "events": ["request.failed"],
        "url": f"{URL}/2",
        "offreason": "owner",
        "offsince": "",
    }
    assert (await maple("POST", f"{path}/test", {})).status == 409
    assert (await maple("PATCH", path, {"enabled": True})).body["result"]["webhook"]["enabled"]
    sent = (await maple("POST", f"{path}/test", {})).body["result"]["delivery"]
    (delivery,) = (await maple("GET", f"{path}/deliveries")).body["result"]["deliveries"]
    assert (delivery["id"], delivery["event"], delivery["state"], delivery["attempt"]) == (
        *(sent, "webhook.test", "waiting", 0),
    )
    assert (await maple("POST", f"{path}/replay", {"delivery": sent})).body["result"] == {"replayed": 1}
    assert (await maple("POST", f"{path}/replay", {"since": "2026-01-01"})).body["result"] == {"replayed": 0}
    assert (await maple("DELETE", path)).body["result"] == {"id": made["webhook"]["id"], "deleted": True}
    assert (await maple("GET")).body["result"]["webhooks"] == []
    entries = await find_audit_entries(database, AuditFilter(subject=f"webhook{path}"))
    assert [entry.action for entry in reversed(entries)] == [
        *("webhook-create", "webhook-rotate", "webhook-change", "webhook-change", "webhook-delete"),
    ]
    assert "whsec_" not in str(entries)
    assert URL not in str(entries)  # it may hold a secret of its owner


# Every operation on one webhook that there is; see test_every_operation_is_tried.
EVERY_CALL: tuple[tuple[str, str, object], ...] = (
    *(("GET", "", None), ("PATCH", "", {"enabled": False}), ("DELETE", "", None), ("POST", "/rotate", {})),
    *(("GET", "/deliveries", None), ("POST", "/replay", {"since": "2026-01-01"}), ("POST", "/test", {})),
)


@pytest.mark.parametrize(("method", "rest", "request_part"), EVERY_CALL)
async def test_a_foreign_webhook_is_answered_like_an_unknown_one(
    callers: list[Caller], method: str, rest: str, request_part: object
) -> None:
    maple, oak = callers
    foreign = (await create(maple))["webhook"]["id"]
    answers = [await oak(method, f"/{webhook}{rest}", request_part) for webhook in (foreign, uuid4(), "nonsense")]
    assert {answer.told for answer in answers} == {answers[0].told}
    assert (answers[0].status, answers[0].told[1]) == (404, "NOT_FOUND")
    assert (await maple("GET")).body["result"]["webhooks"][0]["enabled"]
    assert (await oak("GET")).body["result"]["webhooks"] == []


def test_every_operation_is_tried() -> None:
    described = {
        (method.upper(), path.removeprefix("/v2/webhooks/{webhookid}"))
        for path, item in load_document()["paths"].items()
        for method in item
        if path.startswith("/v2/webhooks/{webhookid}")
    }
    assert {call[:2] for call in EVERY_CALL} == described


async def test_a_delivery_of_another_webhook_is_unknown(callers: list[Caller]) -> None:
    maple, oak = callers
    path = f"/{(await create(maple))['webhook']['id']}"
    foreign = (await maple("POST", f"{path}/test", {})).body["result"]["delivery"]
    own = f"/{(await create(oak))['webhook']['id']}/replay"
    answers = [await oak("POST", own, {"delivery": str(delivery)}) for delivery in (foreign, uuid4())]
    assert answers[0].told == answers[1].told
    assert answers[0].status == 404


async def test_a_webhook_to_a_forbidden_address_is_refused(callers: list[Caller], names: Names) -> None:
    maple, _ = callers
    names.addresses = ()
    unknown = await maple("POST", request=GOOD)
    assert (unknown.status, unknown.told[1]) == (400, "INVALID_DATA_ERROR")
    assert len(FORBIDDEN) >= 40
    for address in FORBIDDEN:
        host = f"[{address}]" if ":" in address else address
        literal = await maple("POST", request=GOOD | {"url": f"https://{host}/hooks"})
        names.addresses = ("8.8.8.8", address)
        named = await maple("POST", request=GOOD)
        assert literal.told == named.told == unknown.told, address


@pytest.mark.parametrize(
    "request_part",
    [
        {},
        {"url": URL},
        {"events": ["request.complete"]},
        GOOD | {"events": []},
        GOOD | {"events": ["request.complete", "anything"]},
        GOOD | {"url": "http://receiver.example.org/"},
        GOOD | {"url": 5},
        GOOD | {"url": "https://user:hunter2@receiver.example.org/"},
    ],
)
async def test_a_bad_registration_is_refused(callers: list[Caller], request_part: object) -> None:
    reply = await callers[0]("POST", request=request_part)
    assert (reply.status, reply.told[1]) == (400, "INVALID_DATA_ERROR")
    assert "hunter2" not in str(reply.body)


async def test_a_holder_has_ten_webhooks_at_most(callers: list[Caller]) -> None:
    maple, oak = callers
    for _ in range(10):
        await create(maple)
    assert (await maple("POST", request=GOOD)).status == 409
    await create(oak)


async def test_a_wrong_key_sees_nothing(callers: list[Caller]) -> None:
    stranger = Caller(callers[0].session, callers[0].base, "wrong")
    assert (await stranger("GET")).status == 401


@pytest.mark.parametrize("request_part", [{}, {"since": "2026-01-01", "delivery": str(uuid4())}, {"since": "soon"}])
async def test_a_replay_names_a_delivery_or_a_time(callers: list[Caller], request_part: object) -> None:
    path = f"/{(await create(callers[0]))['webhook']['id']}/replay"
    assert (await callers[0]("POST", path, request_part)).status == 400


@pytest.mark.parametrize(
    ("path", "asked", "most"),
    [("test", {}, SENDS_AN_HOUR // SENDS_OF_A_TEST), ("replay", {"since": "2026-01-01"}, 12)],
)
async def test_nobody_has_us_call_a_third_party_without_end(
    callers: list[Caller], database: Database, path: str, asked: dict[str, str], most: int
) -> None:
    """A webhook may lead to somebody who never asked for it, and each of these calls makes us send."""
    maple, oak = callers
    ids = [(await create(maple))["webhook"]["id"] for _ in range(2)]
    replies = [await maple("POST", f"/{ids[number % 2]}/{path}", asked) for number in range(most + 1)]
    assert [reply.status for reply in replies] == [202] * most + [429]
    assert replies[-1].body["params"]["err"] == "RATE_LIMITED"
    sent = await database.fetch("SELECT FROM webhook_deliveries")
    assert len(sent) == (most if path == "test" else 0)
    assert (await oak("POST", f"/{(await create(oak))['webhook']['id']}/{path}", asked)).status == 202
