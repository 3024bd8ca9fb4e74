"""License keys: shown once, kept as a keyed hash, recognised under every pepper still known; registration over HTTP."""

import hmac
from hashlib import sha256
from uuid import UUID

import pytest
from pydantic import SecretStr

from exhaust.errors import ErrorCode, ExhaustError
from exhaust.key_store import KeyStore
from exhaust.postgres import Database
from tests.integration.conftest import MSGID, Ask, Gateway, assert_refused, envelope, written

OLD, NEW = "an old pepper of enough characters", "a new pepper with enough characters"


@pytest.fixture
def keys(database: Database) -> KeyStore:
    return KeyStore(database, {1: SecretStr(OLD)})


async def refusal(keys: KeyStore, license_key: str) -> tuple[ErrorCode, str]:
    with pytest.raises(ExhaustError) as refused:
        await keys.authenticate(license_key)
    return refused.value.code, refused.value.message


async def stored_texts(owner: Database) -> str:
    """Every value of every table as text, bytes in hex."""
    tables = await owner.fetch("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
    rows = [row for table in tables for row in await owner.fetch(f'TABLE "{table["tablename"]}"')]
    values = (value for row in rows for value in row.values())
    return "\n".join(value.hex() if isinstance(value, bytes) else str(value) for value in values)


async def test_a_key_is_recognised_and_stored_nowhere(keys: KeyStore, owner_database: Database) -> None:
    license_key = await keys.register("client", "dashboard")
    client = await keys.authenticate(license_key)
    assert (client.client_name, client.license_key_name) == ("client", "dashboard")
    stored = await stored_texts(owner_database)
    assert hmac.digest(OLD.encode(), license_key.encode(), sha256).hex() in stored
    for trace in (license_key, license_key.replace("-", ""), license_key.encode().hex()):
        assert trace not in stored
    assert sha256(license_key.encode()).hexdigest() not in stored


async def test_every_key_is_another_and_its_registration_is_in_the_audit(keys: KeyStore, database: Database) -> None:
    registered = [await keys.register("client", name) for name in ("one", "two")]
    assert len(set(registered)) == 2
    assert len({(await keys.authenticate(license_key)).user_id for license_key in registered}) == 2
    rows = await database.fetch("SELECT actor, action, subject, detail FROM audit ORDER BY id")
    assert [(row["action"], row["detail"]) for row in rows] == [
        ("register", {"client": "client", "key": "one"}),
        ("register", {"client": "client", "key": "two"}),
    ]


async def test_a_client_cannot_have_two_keys_of_one_name(keys: KeyStore, database: Database) -> None:
    first = await keys.register("client", "dashboard")
    with pytest.raises(ExhaustError, match="already has a license key named 'dashboard'") as refused:
        await keys.register("client", "dashboard")
    assert refused.value.code is ErrorCode.INVALID_DATA_ERROR
    assert (await keys.authenticate(first)).license_key_name == "dashboard"
    assert len(await database.fetch("SELECT 1 FROM audit")) == 1
    await keys.register("another client", "dashboard")


@pytest.mark.parametrize(
    "wrong",
    ["", " ", "61d81fac-cc60-4f2f-9fe7-daef674af21a", "\ud800", "key\udfff", "\x00", "a\x00b", "é" * 10_000, "' OR '1"],
    ids=ascii,
)
async def test_wrong_keys_all_fail_alike(keys: KeyStore, wrong: str) -> None:
    license_key = await keys.register("client", "dashboard")
    expected = (ErrorCode.LOGIN_FAILED, "the license key is invalid")
    assert await refusal(keys, wrong) == expected
    assert await refusal(keys, license_key + wrong if wrong else license_key[:-1]) == expected
    assert await refusal(keys, license_key.upper()) == expected


async def test_a_revoked_key_fails_like_a_wrong_one(keys: KeyStore, owner_database: Database) -> None:
    revoked, other = [await keys.register("client", name) for name in ("lost", "kept")]
    async with owner_database.transaction() as connection:
        await connection.execute("UPDATE data_exhaust_users SET revoked_at = now() WHERE license_key_name = 'lost'")
    assert await refusal(keys, revoked) == await refusal(keys, "wrong")
    assert (await keys.authenticate(other)).license_key_name == "kept"


async def test_old_peppers_are_recognised_and_the_newest_hashes_new_keys(database: Database) -> None:
    old_key = await KeyStore(database, {1: SecretStr(OLD)}).register("client", "old")
    # The newest is the greatest number, not the last or the first text: 10 > 2 > 1.
    both = KeyStore(database, {10: SecretStr(NEW), 1: SecretStr(OLD), 2: SecretStr("between " * 5)})
    new_key = await both.register("client", "new")
    assert (await both.authenticate(old_key)).license_key_name == "old"
    assert (await both.authenticate(new_key)).license_key_name == "new"
    rows = await database.fetch("SELECT pepper_version, license_key_hash FROM data_exhaust_users ORDER BY id")
    assert [row["pepper_version"] for row in rows] == [1, 10]
    assert rows[1]["license_key_hash"] == hmac.digest(NEW.encode(), new_key.encode(), sha256)
    only_new = KeyStore(database, {10: SecretStr(NEW)})
    assert (await only_new.authenticate(new_key)).license_key_name == "new"
    assert await refusal(only_new, old_key) == (ErrorCode.LOGIN_FAILED, "the license key is invalid")


@pytest.mark.parametrize(
    "part",
    [
        {},
        {"clientName": "client"},
        {"clientName": " ", "licenseKeyName": "dashboard"},
        {"clientName": "client", "licenseKeyName": 5},
        {"clientName": "client", "licenseKeyName": "a\x00b"},
        {"clientName": "client", "licenseKeyName": "x" * 257},
        {"clientName": "client", "licenseKeyName": "dashboard"},
    ],
    ids=["nothing", "no key name", "blank", "a number", "NUL", "very long", "registered already"],
)
async def test_a_bad_registration_is_refused(gateway: Gateway, database: Database, part: dict[str, object]) -> None:
    before = await written(database)
    assert_refused(await gateway.call("/v1/client", envelope(part)), 400, "INVALID_DATA_ERROR", ver="1.0")
    assert await written(database) == before


async def test_a_registration_gives_a_key_that_alone_reads_nothing(gateway: Gateway) -> None:
    reply = await gateway.call("/v1/client", envelope({"clientName": "client", "licenseKeyName": "another"}))
    assert reply.status == 200
    assert reply.headers["Cache-Control"] == "no-store"
    assert reply.body["params"]["msgid"] == MSGID
    assert reply.body["params"]["status"] == "successful"
    license_key = reply.body["result"]["licenseKey"]
    assert UUID(license_key).version == 4
    assert_refused(await gateway.ask(Ask(request={"licenseKey": license_key})), 403, "AUTHORIZATION_FAILED")
