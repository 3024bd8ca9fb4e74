"""Whose a client name is: keys under it that nobody vouched for, and names that look like it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from hashlib import sha256
from importlib import resources
from typing import Any

import pytest
from aiohttp import web
from pydantic import SecretStr

from deploy.local.stack import Stack
from exhaust.errors import ErrorCode, ExhaustError
from exhaust.http.app import envelope_errors
from exhaust.http.endpoint import HttpMetrics, endpoint
from exhaust.http.listener import open_listener
from exhaust.metrics.registry import MetricRegistry
from exhaust.postgres.database import Database, open_database
from exhaust.postgres.grants import Grant, GrantStore
from exhaust.postgres.license_keys import KeyStore
from exhaust.postgres.migrate import migrate
from exhaust.postgres.registrations import UnprovenKeyError
from services.gateway.handlers.register import REGISTER, RegisterBody, RegisterHandler
from services.gateway.settings import LimitSettings
from tests.integration.conftest import (
    PEPPERS,
    RESOURCE,
    RUNTIME_ROLE,
    SERVICE_TOKEN,
    Gateway,
    Listener,
    Reply,
    assert_refused,
    envelope,
    new_schema,
    within,
    written,
)
from tests.support.s3_proxy import closed_port

CLIENT = "client"  # whom the gateway of the tests knows, with the key "dashboard"


@dataclass(frozen=True)
class Registrar:
    """A gateway, and what its database holds of the keys."""

    gateway: Gateway
    keys: KeyStore

    async def ask(self, client: str, key: str, *, shown: str = "", header: bool = False) -> Reply:
        request: dict[str, object] = {"clientName": client, "licenseKeyName": key}
        if shown and not header:
            request["licenseKey"] = shown
        headers = {"X-API-Key": shown} if header else {}
        return await self.gateway.call("/v1/client", envelope(request), headers=headers)

    async def register(self, client: str, key: str, *, shown: str = "", header: bool = False) -> str:
        reply = await self.ask(client, key, shown=shown, header=header)
        assert reply.status == 200, reply.body
        return str(reply.body["result"]["licenseKey"])

    async def proven(self, client: str = CLIENT) -> dict[str, bool]:
        return {key.license_key_name: key.proven for key in await self.keys.find_by_client(client)}

    async def internal(self, path: str, request: dict[str, Any]) -> Reply:
        headers = {"Authorization": f"Bearer {SERVICE_TOKEN}"}
        return await self.gateway.internal.call(f"/v1/{path}", envelope(request), headers=headers)


@pytest.fixture
def registrar(gateway: Gateway, database: Database) -> Registrar:
    return Registrar(gateway, KeyStore(database, PEPPERS))


async def test_a_key_is_proven_by_a_proven_key_of_the_same_client_alone(registrar: Registrar) -> None:
    own = registrar.gateway.license_key
    stranger = await registrar.register(CLIENT, "a stranger's")
    other = await registrar.register("another client", "dashboard")
    await registrar.register(CLIENT, "by a stranger", shown=stranger)
    await registrar.register(CLIENT, "by another", shown=other, header=True)
    await registrar.register(CLIENT, "by body", shown=own)
    await registrar.register(CLIENT, "by header", shown=own, header=True)
    assert await registrar.proven() == {
        "dashboard": True,
        "a stranger's": False,
        "by a stranger": False,
        "by another": False,
        "by body": True,
        "by header": True,
    }
    assert await registrar.proven("another client") == {"dashboard": True}


async def test_a_wrong_key_registers_nothing(registrar: Registrar, database: Database) -> None:
    before = await written(database)
    await registrar.keys.revoke(CLIENT, "dashboard", actor="operator/somebody")
    for wrong in ("61d81fac-cc60-4f2f-9fe7-daef674af21a", registrar.gateway.license_key):
        for header in (True, False):
            reply = await registrar.ask(CLIENT, "new", shown=wrong, header=header)
            assert_refused(reply, 401, "LOGIN_FAILED", ver="1.0")
    assert (await written(database))["users"] == before["users"]


async def test_where_only_proven_keys_may_register(registrar: Registrar, database: Database) -> None:
    limits = LimitSettings(registration="proven", registration_token=SecretStr("a registration token"))
    app = web.Application(middlewares=[envelope_errors])
    handler = RegisterHandler(registrar.keys, limits)
    metrics = HttpMetrics(MetricRegistry())
    app.router.add_post("/v1/client", endpoint(REGISTER, RegisterBody, handler.register, metrics))
    port = closed_port()
    own, stranger = registrar.gateway.license_key, await registrar.register(CLIENT, "a stranger's")
    other = await registrar.register("another client", "dashboard")
    before = await written(database)
    async with open_listener(app, "127.0.0.1", port):
        listener = Listener(registrar.gateway.session, f"http://127.0.0.1:{port}")

        async def ask(client: str, key: str, **headers: str) -> Reply:
            body = envelope({"clientName": client, "licenseKeyName": key})
            return await listener.call("/v1/client", body, headers={k.replace("_", "-"): v for k, v in headers.items()})

        assert_refused(await ask("a new client", "key"), 401, "LOGIN_FAILED", ver="1.0")
        assert_refused(await ask(CLIENT, "key"), 401, "LOGIN_FAILED", ver="1.0")
        assert_refused(await ask(CLIENT, "key", Authorization="Bearer a wrong token!"), 401, "LOGIN_FAILED", ver="1.0")
        assert_refused(await ask(CLIENT, "key", X_API_Key="wrong"), 401, "LOGIN_FAILED", ver="1.0")
        for shown in (stranger, other):
            assert_refused(await ask(CLIENT, "key", X_API_Key=shown), 403, "AUTHORIZATION_FAILED", ver="1.0")
        assert_refused(await ask("a new client", "key", X_API_Key=own), 403, "AUTHORIZATION_FAILED", ver="1.0")
        assert await written(database) == before
        assert (await ask(CLIENT, "key", X_API_Key=own)).status == 200
        assert_refused(await ask(CLIENT, "key", X_API_Key=own), 400, "INVALID_DATA_ERROR", ver="1.0")
        assert (await ask("a new client", "key", Authorization="Bearer a registration token")).status == 200
    assert (await registrar.proven())["key"]
    assert await registrar.proven("a new client") == {"key": True}


async def test_an_unproven_key_gets_a_grant_only_when_that_is_said(registrar: Registrar) -> None:
    stranger = await registrar.register(CLIENT, "theirs")
    names = {"clientName": CLIENT, "licenseKeyName": "theirs", "resourceId": "another"}
    doors: tuple[tuple[str, dict[str, Any]], ...] = (
        ("admin/grants/add", names),
        ("associate/another", {"licenseKey": stranger}),
    )
    for path, request in doors:
        for unproven in ({}, {"unproven": None}, {"unproven": False}):
            refused = await registrar.internal(path, request | unproven)
            assert_refused(refused, 400, "INVALID_DATA_ERROR", ver="1.0")
            sentence = refused.body["params"]["errmsg"]
            assert "'theirs' of client 'client' is unproven: somebody without a key registered it at 20" in sentence
            assert "belongs to whoever registered 'dashboard' at 20" in sentence
        assert_refused(
            await registrar.internal(path, request | {"unproven": "true"}), 400, "INVALID_DATA_ERROR", ver="1.0"
        )
    listed = await registrar.internal("admin/grants/list", {"clientName": CLIENT, "licenseKeyName": "theirs"})
    assert listed.body["result"] == {"grants": []}
    for path, request in doors:
        assert (await registrar.internal(path, request | {"unproven": True})).status == 200
    listed = await registrar.internal("admin/grants/list", {"clientName": CLIENT, "licenseKeyName": "theirs"})
    assert [grant["proven"] for grant in listed.body["result"]["grants"]] == [False]
    keys = (await registrar.internal("admin/keys/list", {"clientName": CLIENT})).body["result"]["keys"]
    assert {key["licenseKeyName"]: (key["proven"], key["registeredBy"]) for key in keys} == {
        "dashboard": (True, "public"),
        "theirs": (False, "public"),
    }


async def test_an_operator_confirms_a_key(registrar: Registrar, owner_database: Database) -> None:
    await registrar.register(CLIENT, "theirs")
    grant = Grant(CLIENT, "theirs", RESOURCE)
    store, keys = GrantStore(owner_database), KeyStore(owner_database, {})
    with pytest.raises(UnprovenKeyError):
        await store.add(grant, actor="operator/somebody")
    assert await keys.confirm(CLIENT, "theirs", actor="operator/somebody")
    assert not await keys.confirm(CLIENT, "theirs", actor="operator/somebody")
    await store.add(grant, actor="operator/somebody")
    assert await registrar.proven() == {"dashboard": True, "theirs": True}
    acts = await owner_database.fetch("SELECT action FROM audit WHERE action IN ('confirm', 'grant')")
    assert [row["action"] for row in acts] == ["confirm", "grant"]


async def test_no_service_may_prove_a_key(database: Database) -> None:
    with pytest.raises(Exception, match="permission denied"):
        await database.fetch("UPDATE data_exhaust_users SET proven_at = now()")


@pytest.mark.parametrize(
    "name",
    ["Client", "CLIENT", "c1ient", "cIient", "cl\u0456ent", "\u0441lient", "client ", "cli\u200bent", "clie\uff4et"],
    ids=ascii,
)
async def test_a_name_that_looks_like_anothers_is_refused(registrar: Registrar, database: Database, name: str) -> None:
    before = await written(database)
    for shown in ("", registrar.gateway.license_key):
        assert_refused(await registrar.ask(name, "dashboard", shown=shown), 400, "INVALID_DATA_ERROR", ver="1.0")
    assert await written(database) == before


@pytest.mark.parametrize("name", ["new ", "ne\u200bw", "\uff4eew", "ne\x1bw"], ids=ascii)
async def test_a_key_name_that_hides_something_is_refused(registrar: Registrar, database: Database, name: str) -> None:
    before = await written(database)
    assert_refused(await registrar.ask(CLIENT, name), 400, "INVALID_DATA_ERROR", ver="1.0")
    assert await written(database) == before


async def test_of_many_at_once_one_owns_the_name(database: Database) -> None:
    keys = KeyStore(database, PEPPERS)

    async def register(client: str, key: str) -> bool:
        try:
            await keys.register(client, key)
        except ExhaustError as error:
            assert error.code is ErrorCode.INVALID_DATA_ERROR
            return False
        return True

    assert all(await asyncio.gather(*(register("maple", f"key {number}") for number in range(8))))
    assert sorted(key.proven for key in await keys.find_by_client("maple")) == [*[False] * 7, True]
    looks = ["birch", "Birch", "BIRCH", "b\u0456rch", "bIrch", "bir\u0441h"]
    assert sum(await asyncio.gather(*(register(look, "key") for look in looks))) == 1
    assert sum(await asyncio.gather(*(register("oak", "one key") for _ in range(8)))) == 1


async def test_a_name_of_any_length_and_script_is_kept(database: Database) -> None:
    keys = KeyStore(database, PEPPERS)
    for name in ("學" * 256, "क" * 256, "m" * 256):
        await keys.register(name, name)
        assert [key.proven for key in await keys.find_by_client(name)] == [True]


@pytest.fixture
async def before_names(servers: Stack) -> AsyncIterator[Database]:
    """The owner's, in a schema with every migration before that of the client names."""
    folder = resources.files("exhaust.postgres.migrations")
    files = sorted((file for file in folder.iterdir() if file.name[:4].isdigit()), key=lambda file: file.name)
    async with (
        new_schema(servers.postgres) as name,
        open_database(within(name, servers.postgres), pool_size=2) as opened,
    ):
        async with opened.transaction() as connection:
            for file in files:
                if file.name < "0007":
                    await connection.execute(file.read_text())
        yield opened


NAMES_FILE = "0007_client_names.sql"
INSERT_USER = "INSERT INTO data_exhaust_users (client_name, license_key_name) VALUES ($1, $2) RETURNING id"
INSERT_KEY = "INSERT INTO license_keys (user_id, license_key_hash, pepper_version) VALUES ($1, $2, 1)"
INSERT_GRANT = "INSERT INTO data_exhaust_users_resources (user_id, resource_id) VALUES ($1, 'x')"


async def test_old_rows_are_proven_by_being_first_or_by_what_was_granted(before_names: Database) -> None:
    async def register(client: str, key: str, *, granted: bool = False) -> None:
        async with before_names.transaction() as connection:
            row = await connection.fetch_one(INSERT_USER, client, key)
            assert row is not None
            await connection.execute(INSERT_KEY, row["id"], f"{client}/{key}".encode())
            if granted:
                await connection.execute(INSERT_GRANT, row["id"])

    for client in ("Maple", "maple", "m\u0430ple", "maple ", "e\u0301", "x\x1b"):
        await register(client, "first")
    await register("Maple", "granted", granted=True)
    await register("Maple", "unknown")
    folder = resources.files("exhaust.postgres.migrations")
    async with before_names.transaction() as connection:
        await connection.execute(folder.joinpath(NAMES_FILE).read_text())
    await register("birch", "by the version before")  # a gateway of the version before, which still runs
    await register("birch", "by it again")
    await migrate_again(before_names)
    keys = KeyStore(before_names, {1: SecretStr("p" * 32)})
    proven = {(key.license_key_name, key.proven) for key in await keys.find_by_client("Maple")}
    assert proven == {("first", True), ("granted", True), ("unknown", False)}
    for client in ("maple", "m\u0430ple", "maple ", "e\u0301", "x\x1b"):
        assert [key.proven for key in await keys.find_by_client(client)] == [True]
    assert [key.proven for key in await keys.find_by_client("birch")] == [False, True]
    await keys.register("maple", "another key of an old look-alike")
    for look in ("MAPLE", "map1e", "Birch", "\u00e9"):
        with pytest.raises(ExhaustError, match="only by case or by letters that look alike"):
            await keys.register(look, "key")


async def migrate_again(owner: Database) -> None:
    """Run the migration command where the files were applied by hand."""
    folder = resources.files("exhaust.postgres.migrations")
    async with owner.transaction() as connection:
        await connection.execute(
            "CREATE TABLE schema_migrations"
            " (name text PRIMARY KEY, sha256 text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        for file in folder.iterdir():
            if file.name[:4].isdigit() and file.name <= NAMES_FILE:
                digest = sha256(file.read_bytes()).hexdigest()
                await connection.execute("INSERT INTO schema_migrations VALUES ($1, $2)", file.name, digest)
    later = sorted(file.name for file in folder.iterdir() if file.name[:4].isdigit() and file.name > NAMES_FILE)
    assert await migrate(owner, runtime_role=RUNTIME_ROLE) == later
    assert await migrate(owner, runtime_role=RUNTIME_ROLE) == []
