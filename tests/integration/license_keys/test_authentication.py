"""License keys: shown once, kept as a keyed hash, recognised under every pepper still known."""

import hmac
from hashlib import sha256

import pytest
from pydantic import SecretStr

from exhaust.errors import ErrorCode, ExhaustError
from exhaust.postgres.database import Database
from exhaust.postgres.license_keys import KeyStore
from tests.integration.license_keys.conftest import NAMES, NEW, OLD, holder


async def stored_texts(owner: Database) -> str:
    """Every value of every table as text, bytes in hex."""
    tables = await owner.fetch("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
    rows = [row for table in tables for row in await owner.fetch(f'TABLE "{table["tablename"]}"')]
    values = (value for row in rows for value in row.values())
    return "\n".join(value.hex() if isinstance(value, bytes) else str(value) for value in values)


async def test_a_key_is_recognised_and_stored_nowhere(keys: KeyStore, owner_database: Database) -> None:
    license_key = await keys.register("client", "dashboard")
    client = await holder(keys, license_key)
    assert (client.client_name, client.license_key_name) == ("client", "dashboard")
    stored = await stored_texts(owner_database)
    assert hmac.digest(OLD.encode(), license_key.encode(), sha256).hex() in stored
    for trace in (license_key, license_key.replace("-", ""), license_key.encode().hex()):
        assert trace not in stored
    assert sha256(license_key.encode()).hexdigest() not in stored


async def test_each_registration_makes_a_new_key_and_is_in_the_audit(keys: KeyStore, database: Database) -> None:
    registered = [await keys.register("client", name) for name in ("one", "two")]
    assert len(set(registered)) == 2
    assert len({(await holder(keys, license_key)).user_id for license_key in registered}) == 2
    rows = await database.fetch("SELECT actor, action, subject, detail FROM audit ORDER BY id")
    assert [(row["action"], row["detail"]) for row in rows] == [
        ("register", {"client": "client", "key": "one", "proven": True}),
        ("register", {"client": "client", "key": "two", "proven": False}),
    ]


async def test_a_client_cannot_have_two_keys_of_one_name(keys: KeyStore, database: Database) -> None:
    first = await keys.register("client", "dashboard")
    with pytest.raises(ExhaustError, match="already has a license key named 'dashboard'") as refused:
        await keys.register("client", "dashboard")
    assert refused.value.code is ErrorCode.INVALID_DATA_ERROR
    assert (await holder(keys, first)).license_key_name == "dashboard"
    assert len(await database.fetch("SELECT 1 FROM audit")) == 1
    await keys.register("another client", "dashboard")


@pytest.mark.parametrize(
    "wrong",
    ["", " ", "61d81fac-cc60-4f2f-9fe7-daef674af21a", "\ud800", "key\udfff", "\x00", "a\x00b", "é" * 10_000, "' OR '1"],
    ids=ascii,
)
async def test_wrong_keys_all_fail_alike(keys: KeyStore, wrong: str) -> None:
    license_key = await keys.register("client", "dashboard")
    assert await keys.authenticate(wrong) is None
    assert await keys.authenticate(license_key + wrong if wrong else license_key[:-1]) is None
    assert await keys.authenticate(license_key.upper()) is None


async def test_a_revoked_key_fails_like_a_wrong_one(keys: KeyStore, owner_database: Database) -> None:
    revoked, other = [await keys.register("client", name) for name in ("lost", "kept")]
    async with owner_database.transaction() as connection:
        await connection.execute("UPDATE data_exhaust_users SET revoked_at = now() WHERE license_key_name = 'lost'")
    assert await keys.authenticate(revoked) is None
    assert (await holder(keys, other)).license_key_name == "kept"


async def test_old_peppers_are_recognised_and_the_newest_hashes_new_keys(database: Database) -> None:
    old_key = await KeyStore(database, {1: SecretStr(OLD)}).register("client", "old")
    # The newest is the greatest number, not the last or the first text: 10 > 2 > 1.
    both = KeyStore(database, {10: SecretStr(NEW), 1: SecretStr(OLD), 2: SecretStr("between " * 5)})
    new_key = await both.register("client", "new")
    assert (await holder(both, old_key)).license_key_name == "old"
    assert (await holder(both, new_key)).license_key_name == "new"
    rows = await database.fetch("SELECT pepper_version, license_key_hash FROM license_keys ORDER BY id")
    assert [row["pepper_version"] for row in rows] == [10, 10]
    assert rows[1]["license_key_hash"] == hmac.digest(NEW.encode(), new_key.encode(), sha256)
    only_new = KeyStore(database, {10: SecretStr(NEW)})
    assert (await holder(only_new, new_key)).license_key_name == "new"
    assert (await holder(only_new, old_key)).license_key_name == "old"


async def test_a_key_moves_to_the_newest_pepper_when_it_is_used(keys: KeyStore, database: Database) -> None:
    used, unused = [await keys.register("client", name) for name in ("used", "unused")]
    both = KeyStore(database, {1: SecretStr(OLD), 2: SecretStr(NEW)})
    assert await both.count_by_pepper() == {1: 2}
    assert {(await holder(both, used)).license_key_name for _ in range(3)} == {"used"}
    assert await both.count_by_pepper() == {1: 1, 2: 1}
    only_new = KeyStore(database, {2: SecretStr(NEW)})
    assert (await holder(only_new, used)).license_key_name == "used"
    assert await only_new.authenticate(unused) is None
    assert await keys.authenticate(used) is None


async def test_a_new_pepper_can_be_rolled_out_while_keys_are_used(keys: KeyStore, database: Database) -> None:
    """First every gateway learns the new pepper as the lesser version, then it becomes the greater one."""
    license_key = await keys.register(*NAMES)
    learned = KeyStore(database, {1: SecretStr(OLD), 0: SecretStr(NEW)})
    switched = KeyStore(database, {1: SecretStr(OLD), 2: SecretStr(NEW)})
    for store in (learned, switched, learned, switched):
        assert (await holder(store, license_key)).client_name == "client"
    assert await switched.count_by_pepper() == {2: 1}
