"""The internal operations over HTTP: documented v1 ones, and an operator's. And the `exhaust` command for the same."""

import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from pydantic import SecretStr

from deploy.local.stack import Stack
from exhaust.domain.catalogue import load_catalogue
from exhaust.http.app import envelope_errors, service_token_check
from exhaust.http.endpoint import HttpMetrics
from exhaust.http.listener import open_listener
from exhaust.metrics.registry import MetricRegistry
from exhaust.postgres.audit import Action, AuditFilter, find_audit_entries, record_action
from exhaust.postgres.database import Database
from exhaust.postgres.grants import GrantStore
from exhaust.postgres.license_keys import KeyStore
from exhaust.postgres.token_subjects import TokenSubject, TokenSubjects
from exhaust.tokens.verifier import TokenVerifier
from services.gateway.auth.access import Access
from services.gateway.handlers.admin.routes import AdminHandlers
from services.gateway.rate_limits import RateLimits
from services.gateway.settings import LimitSettings
from tests.integration.conftest import (
    FULL_SHA1,
    MSGID,
    PEPPERS,
    RESOURCE,
    Listener,
    Reply,
    assert_refused,
    envelope,
    within,
)
from tests.support.command import Command
from tests.support.s3_proxy import closed_port

TOKEN = "a service token for the tests"
NAMES = {"clientName": "client", "licenseKeyName": "dashboard"}
OPERATIONS = [
    "client/authenticate",
    "client/authorize",
    f"associate/{RESOURCE}",
    *(f"admin/keys/{verb}" for verb in ("list", "rotate", "revoke")),
    *(f"admin/grants/{verb}" for verb in ("add", "remove", "list", "who")),
    "admin/audit",
]


@dataclass(frozen=True)
class Internal(Listener):
    """The internal listener, with a caller who has the service token; and the key of a registered client."""

    access: Access
    license_key: str

    async def ask(self, operation: str, request: Mapping[str, object]) -> Reply:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        return await self.call(f"/v1/{operation}", envelope(request), headers=headers)

    async def result(self, operation: str, request: Mapping[str, object] = NAMES) -> dict[str, Any]:
        reply = await self.ask(operation, request)
        assert reply.status == 200, reply.body
        assert (reply.body["ver"], reply.body["params"]["msgid"]) == ("1.0", MSGID)
        result: dict[str, Any] = reply.body["result"]
        return result

    async def is_valid(self, license_key: str) -> bool:
        return await self.access.keys.authenticate(license_key) is not None


@pytest.fixture
async def internal(database: Database) -> AsyncIterator[Internal]:
    limits = RateLimits(LimitSettings(), time.monotonic)
    access = Access(
        KeyStore(database, PEPPERS),
        TokenSubjects(database),
        GrantStore(database),
        load_catalogue(None),
        TokenVerifier(()),
        limits,
    )
    app = web.Application(middlewares=[envelope_errors, service_token_check(SecretStr(TOKEN))])
    app.add_routes(AdminHandlers.build(access, database).routes(HttpMetrics(MetricRegistry())))
    license_key = await access.keys.register("client", "dashboard")
    port = closed_port()
    async with aiohttp.ClientSession() as session, open_listener(app, "127.0.0.1", port):
        yield Internal(session, f"http://127.0.0.1:{port}", access, license_key)


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_every_operation_needs_the_service_token(internal: Internal, operation: str) -> None:
    body = envelope(NAMES | {"licenseKey": internal.license_key, "resourceId": RESOURCE})
    for headers in ({}, {"Authorization": f"Bearer {internal.license_key}"}):
        assert_refused(await internal.call(f"/v1/{operation}", body, headers=headers), 401, "LOGIN_FAILED", ver="1.0")
    assert await internal.access.grants.find_by_client("client") == []


async def test_authenticate_answers_the_names_of_the_key(internal: Internal) -> None:
    for name in ("licenseKey", "licensekey"):
        reply = await internal.ask("client/authenticate", {name: internal.license_key})
        assert (reply.body["id"], reply.body["result"]) == ("ekstep.data_exhaust_client_authenticate", NAMES)
    for wrong in ({}, {"licenseKey": "wrong"}, {"licenseKey": " "}):
        assert_refused(await internal.ask("client/authenticate", wrong), 401, "LOGIN_FAILED", ver="1.0")


async def test_associate_grants_what_authorize_then_allows(internal: Internal) -> None:
    asked = NAMES | {"resourceId": FULL_SHA1}
    assert_refused(await internal.ask("client/authorize", asked), 403, "AUTHORIZATION_FAILED", ver="1.0")
    associated = await internal.ask(f"associate/{FULL_SHA1.upper()}", {"licenseKey": internal.license_key})
    assert (associated.status, "result" in associated.body) == (200, False)
    for resource in (FULL_SHA1, FULL_SHA1[:32], FULL_SHA1.lstrip("0")):
        authorized = await internal.ask("client/authorize", NAMES | {"resourceId": resource})
        assert (authorized.status, "result" in authorized.body) == (200, False)
    assert (await internal.ask("client/authorize", asked | {"datasetId": "D002"})).status == 200
    for wrong in (
        {"clientName": "nobody"},
        {"licenseKeyName": "another"},
        {"resourceId": RESOURCE},
        {"datasetId": "no-such-dataset"},
    ):
        reply = await internal.ask("client/authorize", asked | wrong)
        assert_refused(reply, 403, "AUTHORIZATION_FAILED", ver="1.0")


async def test_associate_needs_a_key_and_a_resource(internal: Internal) -> None:
    assert_refused(await internal.ask(f"associate/{RESOURCE}", {"licenseKey": "wrong"}), 401, "LOGIN_FAILED", ver="1.0")
    odd = await internal.ask("associate/a%20b", {"licenseKey": internal.license_key})
    assert_refused(odd, 400, "INVALID_DATA_ERROR", ver="1.0")
    assert await internal.access.grants.find_by_client("client") == []


async def test_the_life_of_a_key(internal: Internal) -> None:
    rotated = await internal.ask("admin/keys/rotate", NAMES | {"overlapHours": 2, "operator": "asha"})
    assert rotated.headers["Cache-Control"] == "no-store"
    new = rotated.body["result"]["licenseKey"]
    assert await internal.is_valid(internal.license_key)
    assert await internal.is_valid(new)
    keys = (await internal.result("admin/keys/list"))["keys"]
    assert [(key["state"], key["licenseKeyName"]) for key in keys] == [("ending", "dashboard"), ("valid", "dashboard")]
    end = datetime.fromisoformat(keys[0]["expiresAt"]) - datetime.now(UTC)
    assert timedelta(hours=1, minutes=50) < end <= timedelta(hours=2)
    one = await internal.result("admin/keys/revoke", NAMES | {"keyNumber": keys[0]["number"]})
    assert one == {"revoked": 1}
    assert not await internal.is_valid(internal.license_key)
    assert await internal.result("admin/keys/revoke", NAMES) == {"revoked": 1}
    assert not await internal.is_valid(new)
    assert await internal.result("admin/keys/revoke", NAMES) == {"revoked": 0}
    acts = (await internal.result("admin/audit", {"action": "rotate"}))["acts"]
    assert [act["actor"] for act in acts] == ["service/asha"]
    assert new not in str(await internal.result("admin/audit", {}))


async def test_the_life_of_a_grant(internal: Internal) -> None:
    asked = NAMES | {
        "resourceId": FULL_SHA1,
        "ownerId": "org.ekstep.partner.p3",
        "ownerKind": "partner",
        "datasetId": "D002",
        "expiresAt": "2999-01-01T05:30:00+05:30",
    }
    told = NAMES | {
        "resourceId": FULL_SHA1[:32],
        "ownerId": "org.ekstep.partner.p3",
        "ownerKind": "partner",
        "datasetId": "eks-consumption-raw",
        "expiresAt": "2999-01-01T00:00:00+00:00",
    }
    assert await internal.result("admin/grants/add", asked) == {"grant": told}
    listed = await internal.result("admin/grants/list", {"clientName": "client"})
    registered_at = listed["grants"][0]["registeredAt"]
    assert datetime.now(UTC) - datetime.fromisoformat(registered_at) < timedelta(minutes=1)
    shown = {**told, "proven": True, "registeredAt": registered_at}
    assert listed == {"grants": [shown]}
    assert await internal.result("admin/grants/list", NAMES | {"licenseKeyName": "another"}) == {"grants": []}
    for dataset, grants in ((None, [shown]), ("D002", [shown]), ("D001", [])):
        who = await internal.result("admin/grants/who", {"resourceId": FULL_SHA1, "datasetId": dataset})
        assert who == {"grants": grants}
    assert (await internal.ask("client/authorize", asked)).status == 200
    assert await internal.result("admin/grants/remove", NAMES | {"resourceId": FULL_SHA1}) == {"removed": 1}
    assert_refused(await internal.ask("client/authorize", asked), 403, "AUTHORIZATION_FAILED", ver="1.0")
    assert await internal.result("admin/grants/remove", NAMES | {"resourceId": FULL_SHA1}) == {"removed": 0}


@pytest.mark.parametrize(
    ("operation", "request_part"),
    [
        ("admin/keys/list", {}),
        ("admin/keys/rotate", {"clientName": "client"}),
        ("admin/keys/rotate", NAMES | {"overlapHours": -1}),
        ("admin/keys/rotate", NAMES | {"overlapHours": "2"}),
        ("admin/keys/rotate", NAMES | {"operator": "a\x00"}),
        ("admin/keys/revoke", NAMES | {"keyNumber": 2**63}),
        ("admin/grants/add", NAMES),
        ("admin/grants/add", NAMES | {"resourceId": "a b"}),
        (
            "admin/grants/add",
            NAMES | {"resourceId": FULL_SHA1, "ownerId": "org.ekstep.partner.p3", "ownerKind": "both"},
        ),
        ("admin/grants/add", NAMES | {"resourceId": FULL_SHA1, "ownerKind": "partner"}),
        ("admin/grants/add", NAMES | {"resourceId": "a", "datasetId": "no-such-dataset"}),
        ("admin/grants/add", NAMES | {"resourceId": "a", "expiresAt": "tomorrow"}),
        ("admin/grants/add", NAMES | {"resourceId": "a", "expiresAt": "0001-01-01T00:00:00+14:00"}),
        ("admin/grants/who", {}),
        ("admin/audit", {"action": "think"}),
        ("admin/audit", {"limit": 0}),
        ("admin/audit", {"actor": "\ud800"}),
        ("admin/audit", {"since": "2026-13-01"}),
        ("client/authorize", {"clientName": "client", "licenseKeyName": "dashboard"}),
    ],
)
async def test_bad_input_is_refused(
    internal: Internal, database: Database, operation: str, request_part: dict[str, object]
) -> None:
    assert_refused(await internal.ask(operation, request_part), 400, "INVALID_DATA_ERROR", ver="1.0")
    assert len(await find_audit_entries(database, AuditFilter())) == 1
    assert await internal.is_valid(internal.license_key)


@pytest.mark.parametrize("operation", ["admin/keys/rotate", "admin/keys/revoke", "admin/grants/add"])
async def test_an_unknown_client_is_not_found(internal: Internal, operation: str) -> None:
    asked = {"clientName": "nobody", "licenseKeyName": "dashboard", "resourceId": RESOURCE}
    assert_refused(await internal.ask(operation, asked), 404, "NOT_FOUND", ver="1.0")


async def record(database: Database, actor: str, action: Action, subject: str) -> None:
    async with database.transaction() as connection:
        await record_action(connection, actor=actor, action=action, subject=subject, detail={})


async def test_the_audit_is_filtered_and_comes_in_pages(internal: Internal, database: Database) -> None:
    for number in range(4):
        await record(database, f"user/{number % 2}", Action.SUBMIT, f"request/{number}")
    await record(database, "user/1", Action.DOWNLOAD_LINK, "request/3")

    async def found(**wanted: object) -> list[str]:
        acts = (await internal.result("admin/audit", wanted))["acts"]
        return [f"{act['actor']} {act['action']} {act['subject']}" for act in acts]

    assert await found(actor="user/0") == ["user/0 submit request/2", "user/0 submit request/0"]
    assert await found(subject="request/3") == ["user/1 download-link request/3", "user/1 submit request/3"]
    assert await found(subject="request/3", action="submit") == ["user/1 submit request/3"]
    assert await found(actor="nobody") == []
    assert len(await found(since="2026-01-01", until="2999-01-01T00:00:00Z")) == 6
    assert await found(until="2026-01-01") == await found(since="2999-01-01") == []
    page = await internal.result("admin/audit", {"action": "submit", "limit": 3})
    rest = await internal.result("admin/audit", {"action": "submit", "limit": 3, "before": page["next"]})
    numbers = [act["number"] for act in page["acts"] + rest["acts"]]
    assert (len(page["acts"]), len(rest["acts"]), rest["next"]) == (3, 1, None)
    assert numbers == sorted(set(numbers), reverse=True)


@pytest.fixture
def command(
    servers: Stack, schema: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Command:
    return Command.on_database(within(schema, servers.postgres), capsys, monkeypatch, PEPPERS)


WHO = ("--client", "client", "--key-name", "dashboard")


async def test_keys_from_the_command_line(internal: Internal, command: Command) -> None:
    rotated = await command.good("keys", "rotate", *WHO, "--overlap-hours", "1")
    new = rotated.out.strip()
    assert await internal.is_valid(new)
    assert "ends in 1 h" in rotated.err
    headings, first, second = (await command.good("keys", "list", "--client", "client")).rows
    assert headings[:3] == ["number", "key name", "state"]
    assert (first[1:3], second[1:3]) == (["dashboard", "ending"], ["dashboard", "valid"])
    await command.good("keys", "revoke", *WHO, "--number", first[0])
    assert not await internal.is_valid(internal.license_key)
    assert (await command.good("keys", "revoke", *WHO)).out == "Revoked 1 key(s) of client / dashboard.\n"
    assert not await internal.is_valid(new)
    assert (await command.run("keys", "revoke", *WHO)).code == 1
    unknown = await command.run("keys", "rotate", "--client", "nobody", "--key-name", "dashboard")
    assert (unknown.code, unknown.out) == (2, "")
    assert "register it with POST /v1/client" in unknown.err


async def test_grants_from_the_command_line(internal: Internal, command: Command) -> None:
    client = await internal.access.keys.find_client("client", "dashboard")
    for first in (("grants", "add"), ("grant",)):
        await command.good(*first, *WHO, "--resource", FULL_SHA1, "--expires", "2999-01-01")
    await command.good("grants", "add", *WHO, "--partner", "org.ekstep.partner.p3", "--dataset", "D002")
    assert await internal.access.grants.may_read(client.user_id, FULL_SHA1[:32], "D001")
    expected = [
        ["client", "key name", "resource", "owner", "dataset", "expires", "proven", "registered"],
        ["client", "dashboard", FULL_SHA1[:32], "-", "every", "2999-01-01T00:00:00Z", "proven"],
        ["client", "dashboard", FULL_SHA1[:32], "org.ekstep.partner.p3", "eks-consumption-raw", "-", "proven"],
    ]
    rows = (await command.good("grants", "list", "--client", "client")).rows
    for row in expected[1:]:
        row.append(rows[1][-1])
    assert rows == expected
    assert datetime.now(UTC) - datetime.fromisoformat(rows[1][-1]) < timedelta(minutes=1)
    assert (await command.good("who-has-access", "--partner", "org.ekstep.partner.p3")).rows == expected
    assert (await command.good("who-has-access", "--resource", FULL_SHA1, "--dataset", "D001")).rows == expected[:2]
    narrow = await command.run("grants", "remove", *WHO, "--resource", FULL_SHA1, "--dataset", "D002")
    assert (narrow.code, "still may read" in narrow.err) == (1, True)
    await command.good("grants", "remove", *WHO, "--resource", FULL_SHA1)
    assert not await internal.access.grants.may_read(client.user_id, FULL_SHA1[:32], None)
    nothing = await command.run("grants", "remove", *WHO, "--resource", FULL_SHA1)
    assert (nothing.code, "had no grant" in nothing.err) == (1, True)
    for wrong in (("--resource", "a b"), ("--dataset", "D001"), ("--resource", "a", "--dataset", "nope")):
        assert (await command.run("grant", *WHO, *wrong)).code == 2


async def test_unproven_keys_from_the_command_line(internal: Internal, command: Command) -> None:
    await internal.access.keys.register("client", "theirs")
    theirs = ("--client", "client", "--key-name", "theirs")
    refused = await command.run("grant", *theirs, "--resource", "x")
    assert (refused.code, refused.out) == (2, "")
    assert "'theirs' of client 'client' is unproven" in refused.err
    await command.good("grant", *theirs, "--resource", "x", "--unproven")
    assert (await command.good("grants", "list", "--client", "client")).rows[1][6] == "unproven"
    assert [row[7] for row in (await command.good("keys", "list", "--client", "client")).rows[1:]] == [
        "proven",
        "unproven",
    ]
    assert (await command.good("keys", "confirm", *theirs)).out == "client / theirs is proven now.\n"
    assert (await command.run("keys", "confirm", *theirs)).code == 1
    assert (await command.run("keys", "confirm", "--client", "client", "--key-name", "none")).code == 2
    await command.good("grant", *theirs, "--resource", "y")
    acts = (await command.good("audit", "--action", "confirm")).rows
    assert acts[1][2].startswith("operator/exhaust_owner/")


async def test_the_audit_and_subjects_from_the_command_line(internal: Internal, command: Command) -> None:
    subject = ("--issuer", "https://issuer.example", "--subject", "somebody")
    await command.good("bind-subject", *subject, *WHO)
    bound = await internal.access.subjects.find_client(TokenSubject("https://issuer.example", "somebody"))
    assert bound is not None
    assert bound.client_name == "client"
    await command.good("unbind-subject", *subject)
    assert (await command.run("unbind-subject", *subject)).code == 1
    rows = (await command.good("audit", "--since", "2026-01-01")).rows
    assert [row[3] for row in rows] == ["action", "unbind", "bind", "register"]
    assert [row[3] for row in (await command.good("audit", "--action", "bind")).rows] == ["action", "bind"]
    assert len((await command.good("audit", "--until", "2026-01-01")).rows) == 1
    assert (await command.run("audit", "--action", "think")).code == 2
    assert (await command.good("rotate-pepper")).rows[1] == ["1", "1", "keep: it hashes new keys"]


async def test_a_name_cannot_steer_the_terminal(internal: Internal, command: Command) -> None:
    await internal.access.keys.register("client", "\x1b[2J\tevil\n")
    out = (await command.good("keys", "list", "--client", "client")).out
    assert "\\x1b[2J\\tevil\\n" in out
    assert "\x1b" not in out


async def test_a_database_that_is_away_is_exit_code_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    dsn = f"postgresql://nobody:nothing@127.0.0.1:{closed_port()}/nothing"
    monkeypatch.setenv("EXHAUST_POSTGRES_OWNER_DSN", dsn)
    done = await Command(capsys).run("keys", "list", "--client", "client")
    assert (done.code, done.out) == (1, "")
    assert "the database does not answer" in done.err
    assert "nothing@" not in done.err
