"""License keys: shown once, kept as a keyed hash, recognised under every pepper still known, replaced, revoked.

And registration over HTTP.
"""

import asyncio
import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from importlib import resources
from uuid import UUID

import pytest
from pydantic import SecretStr

from deploy.local.stack import Stack
from exhaust.errors import ErrorCode, ExhaustError
from exhaust.postgres.database import Database, open_database
from exhaust.postgres.grants import Grant, GrantStore
from exhaust.postgres.license_keys import KeyStore, UnknownClientError
from exhaust.postgres.migrate import migrate
from exhaust.postgres.token_subjects import TokenSubject, TokenSubjects
from tests.integration.conftest import (
    MSGID,
    RESOURCE,
    RUNTIME_ROLE,
    Ask,
    Gateway,
    assert_refused,
    envelope,
    new_schema,
    within,
    written,
)

OLD, NEW = "an old pepper of enough characters", "a new pepper with enough characters"
NAMES = ("client", "dashboard")
WRONG_KEY = (ErrorCode.LOGIN_FAILED, "the license key is invalid")
WRONG_TOKEN = (ErrorCode.LOGIN_FAILED, "the token is not accepted; get a new one from your issuer")
ISSUER, SUBJECT = "https://issuer.example", "somebody"


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
    rows = await database.fetch("SELECT pepper_version, license_key_hash FROM license_keys ORDER BY id")
    assert [row["pepper_version"] for row in rows] == [10, 10]
    assert rows[1]["license_key_hash"] == hmac.digest(NEW.encode(), new_key.encode(), sha256)
    only_new = KeyStore(database, {10: SecretStr(NEW)})
    assert (await only_new.authenticate(new_key)).license_key_name == "new"
    assert (await only_new.authenticate(old_key)).license_key_name == "old"


async def test_a_key_moves_to_the_newest_pepper_when_it_is_used(keys: KeyStore, database: Database) -> None:
    used, unused = [await keys.register("client", name) for name in ("used", "unused")]
    both = KeyStore(database, {1: SecretStr(OLD), 2: SecretStr(NEW)})
    assert await both.versions() == {1: 2}
    assert {(await both.authenticate(used)).license_key_name for _ in range(3)} == {"used"}
    assert await both.versions() == {1: 1, 2: 1}
    only_new = KeyStore(database, {2: SecretStr(NEW)})
    assert (await only_new.authenticate(used)).license_key_name == "used"
    assert await refusal(only_new, unused) == WRONG_KEY
    assert await refusal(keys, used) == WRONG_KEY


async def test_a_new_pepper_can_be_rolled_out_while_keys_are_used(keys: KeyStore, database: Database) -> None:
    """First every gateway learns the new pepper as the lesser version, then it becomes the greater one."""
    license_key = await keys.register(*NAMES)
    learned = KeyStore(database, {1: SecretStr(OLD), 0: SecretStr(NEW)})
    switched = KeyStore(database, {1: SecretStr(OLD), 2: SecretStr(NEW)})
    for store in (learned, switched, learned, switched):
        assert (await store.authenticate(license_key)).client_name == "client"
    assert await switched.versions() == {2: 1}


async def test_the_old_key_works_beside_the_new_one_until_its_end(
    keys: KeyStore, database: Database, owner_database: Database
) -> None:
    old = await keys.register(*NAMES)
    await GrantStore(owner_database).add(Grant(*NAMES, RESOURCE), actor="operator/somebody")
    new = await keys.rotate(*NAMES, actor="operator/somebody")
    holders = [await keys.authenticate(license_key) for license_key in (old, new)]
    assert holders[0] == holders[1]
    assert await GrantStore(database).holds(holders[1].user_id, RESOURCE, None)
    first, second = await keys.of_client("client")
    assert first.expires_at is not None
    assert timedelta(hours=23) < first.expires_at - datetime.now(UTC) <= timedelta(hours=24)
    assert (first.state(datetime.now(UTC)), second.state(datetime.now(UTC))) == ("ending", "valid")
    assert first.state(first.expires_at) == "expired"
    async with owner_database.transaction() as connection:
        await connection.execute("UPDATE license_keys SET expires_at = now() WHERE id = $1", first.number)
    assert await refusal(keys, old) == WRONG_KEY
    assert await keys.authenticate(new) == holders[0]


async def test_a_rotation_without_overlap_ends_every_key_so_far(keys: KeyStore) -> None:
    first = await keys.register(*NAMES)
    second = await keys.rotate(*NAMES, actor="operator/somebody")
    third = await keys.rotate(*NAMES, actor="operator/somebody", overlap=timedelta())
    for ended in (first, second):
        assert await refusal(keys, ended) == WRONG_KEY
    assert (await keys.authenticate(third)).license_key_name == "dashboard"


async def test_another_rotation_gives_no_key_more_time(keys: KeyStore) -> None:
    await keys.register(*NAMES)
    await keys.rotate(*NAMES, actor="operator/somebody", overlap=timedelta(hours=1))
    await keys.rotate(*NAMES, actor="operator/somebody", overlap=timedelta(hours=9))
    first, second, third = await keys.of_client("client")
    assert first.expires_at is not None
    assert second.expires_at is not None
    assert second.expires_at - first.expires_at > timedelta(hours=7)
    assert third.expires_at is None


async def test_rotations_at_once_leave_one_key_without_an_end(keys: KeyStore) -> None:
    await keys.register(*NAMES)
    await asyncio.gather(*(keys.rotate(*NAMES, actor="operator/somebody") for _ in range(8)))
    ends = [key.expires_at for key in await keys.of_client("client")]
    assert (len(ends), ends.count(None)) == (9, 1)


async def test_no_key_that_is_just_being_made_escapes_a_revocation(keys: KeyStore) -> None:
    for name in map(str, range(10)):
        await keys.register("client", name)
        outcomes = await asyncio.gather(
            keys.rotate("client", name, actor="operator/somebody"),
            keys.revoke("client", name, actor="operator/somebody"),
            return_exceptions=True,
        )
        assert outcomes[1] in (1, 2)
        assert isinstance(outcomes[0], str | UnknownClientError)
    assert {key.state(datetime.now(UTC)) for key in await keys.of_client("client")} == {"revoked"}


async def test_revoking_is_at_once_for_good_and_in_the_audit(keys: KeyStore, database: Database) -> None:
    old, other = await keys.register(*NAMES), await keys.register("client", "other")
    new = await keys.rotate(*NAMES, actor="operator/somebody")
    second_gateway = KeyStore(database, {1: SecretStr(OLD)})
    await second_gateway.authenticate(new)
    assert await keys.revoke(*NAMES, actor="operator/somebody") == 2
    for revoked in (old, new):
        assert await refusal(second_gateway, revoked) == WRONG_KEY
    assert (await second_gateway.authenticate(other)).license_key_name == "other"
    assert await keys.revoke(*NAMES, actor="operator/somebody") == 0
    with pytest.raises(UnknownClientError):
        await keys.rotate(*NAMES, actor="operator/somebody")
    acts = await database.fetch("SELECT action, actor, detail FROM audit ORDER BY id")
    assert [row["action"] for row in acts] == ["register", "register", "rotate", "revoke"]
    assert (acts[-1]["actor"], acts[-1]["detail"]) == ("operator/somebody", {"keys": 2})
    assert acts[-2]["detail"] == {"overlap_seconds": 24 * 3600}


async def test_one_of_two_keys_can_be_revoked(keys: KeyStore) -> None:
    lost = await keys.register(*NAMES)
    kept = await keys.rotate(*NAMES, actor="operator/somebody")
    number = (await keys.of_client("client"))[0].number
    assert await keys.revoke("client", "dashboard", actor="operator/somebody", number=number) == 1
    assert await keys.revoke("client", "dashboard", actor="operator/somebody", number=number) == 0
    assert await refusal(keys, lost) == WRONG_KEY
    assert (await keys.authenticate(kept)).client_name == "client"


async def test_the_key_of_another_cannot_be_revoked_by_its_number(keys: KeyStore) -> None:
    await keys.register(*NAMES)
    await keys.register("another client", "dashboard")
    (mine,) = await keys.of_client("another client")
    assert await keys.revoke(*NAMES, actor="operator/somebody", number=mine.number) == 0
    assert mine.revoked_at is None
    assert await keys.of_client("another client") == [mine]


@pytest.mark.parametrize("names", [("client", "another"), ("another", "dashboard"), ("", ""), ("dashboard", "client")])
async def test_what_was_never_registered_is_said_to_be_unknown(keys: KeyStore, names: tuple[str, str]) -> None:
    await keys.register(*NAMES)
    for act in (keys.rotate(*names, actor="me"), keys.revoke(*names, actor="me"), keys.find(*names)):
        with pytest.raises(UnknownClientError) as refused:
            await act
        assert refused.value.code is ErrorCode.NOT_FOUND


async def refused_subject(keys: KeyStore, issuer: str, subject: str) -> tuple[ErrorCode, str]:
    with pytest.raises(ExhaustError) as refused:
        await keys.by_subject(issuer, subject)
    return refused.value.code, refused.value.message


async def test_a_token_subject_acts_as_the_user_it_is_bound_to(
    keys: KeyStore, database: Database, owner_database: Database
) -> None:
    license_key = await keys.register(*NAMES)
    other = await keys.authenticate(await keys.register("client", "other"))
    subjects, token = TokenSubjects(owner_database), TokenSubject(ISSUER, SUBJECT)
    assert await refused_subject(keys, ISSUER, SUBJECT) == WRONG_TOKEN
    await subjects.bind(token, *NAMES, actor="operator/somebody")
    assert await keys.by_subject(ISSUER, SUBJECT) == await keys.authenticate(license_key)
    await keys.rotate(*NAMES, actor="operator/somebody")
    assert (await keys.by_subject(ISSUER, SUBJECT)).license_key_name == "dashboard"
    for issuer, subject in ((ISSUER, "another"), ("https://another", SUBJECT), (SUBJECT, ISSUER), (ISSUER, "")):
        assert await refused_subject(keys, issuer, subject) == WRONG_TOKEN
    await subjects.bind(token, "client", "other", actor="operator/somebody")
    assert await keys.by_subject(ISSUER, SUBJECT) == other
    assert await subjects.unbind(token, actor="operator/somebody")
    assert not await subjects.unbind(token, actor="operator/somebody")
    assert await refused_subject(keys, ISSUER, SUBJECT) == WRONG_TOKEN
    acts = await database.fetch("SELECT action, detail FROM audit WHERE action LIKE '%bind' ORDER BY id")
    assert [row["action"] for row in acts] == ["bind", "bind", "unbind"]
    assert acts[0]["detail"] == {"issuer": ISSUER, "subject": SUBJECT}


@pytest.mark.parametrize("odd", ["\x00", "a\x00b", "\ud800", "x\udfff", "é" * 10_000], ids=ascii)
async def test_a_subject_that_no_table_can_hold_is_a_wrong_one(keys: KeyStore, odd: str) -> None:
    assert await refused_subject(keys, ISSUER, odd) == WRONG_TOKEN
    assert await refused_subject(keys, odd, SUBJECT) == WRONG_TOKEN


async def test_a_subject_falls_with_the_last_key_of_its_user(keys: KeyStore, owner_database: Database) -> None:
    await keys.register(*NAMES)
    subjects, token = TokenSubjects(owner_database), TokenSubject(ISSUER, SUBJECT)
    await subjects.bind(token, *NAMES, actor="operator/somebody")
    await keys.rotate(*NAMES, actor="operator/somebody")
    first, _second = await keys.of_client("client")
    await keys.revoke("client", "dashboard", actor="operator/somebody", number=first.number)
    assert (await keys.by_subject(ISSUER, SUBJECT)).client_name == "client"
    await keys.revoke(*NAMES, actor="operator/somebody")
    assert await refused_subject(keys, ISSUER, SUBJECT) == WRONG_TOKEN
    with pytest.raises(UnknownClientError):
        await subjects.bind(token, *NAMES, actor="operator/somebody")


async def test_the_keys_of_the_version_before_are_taken_along(servers: Stack) -> None:
    before = resources.files("exhaust.migrations").joinpath("0001_initial.sql").read_text()
    insert = (
        "INSERT INTO data_exhaust_users (client_name, license_key_name, license_key_hash, pepper_version, revoked_at)"
        " VALUES ('client', $1, $2, 1, $3)"
    )

    def hashed(text: str) -> bytes:
        return hmac.digest(OLD.encode(), text.encode(), sha256)

    async with (
        new_schema(servers.postgres) as name,
        open_database(within(name, servers.postgres), pool_size=2) as fresh,
    ):
        async with fresh.transaction() as connection:
            await connection.execute(before)
            await connection.execute(
                "CREATE TABLE schema_migrations"
                " (name text PRIMARY KEY, sha256 text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
            )
            digest = hashlib.sha256(before.encode()).hexdigest()
            await connection.execute("INSERT INTO schema_migrations VALUES ('0001_initial.sql', $1)", digest)
            await connection.execute(insert, "valid", hashed("a key"), None)
            await connection.execute(insert, "revoked", hashed("a lost key"), datetime.now(UTC))
        assert "0002_keys_and_limits.sql" in await migrate(fresh, runtime_role=RUNTIME_ROLE)
        keys = KeyStore(fresh, {1: SecretStr(OLD)})
        assert (await keys.authenticate("a key")).license_key_name == "valid"
        assert await refusal(keys, "a lost key") == WRONG_KEY
        async with fresh.transaction() as connection:  # a gateway of the version before that still runs
            await connection.execute(insert, "late", hashed("a late key"), None)
        assert (await keys.authenticate("a late key")).license_key_name == "late"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE license_keys SET revoked_at = NULL",
        "UPDATE license_keys SET revoked_at = now() + interval '1 day'",
    ],
)
async def test_nobody_takes_a_revocation_back(
    keys: KeyStore, database: Database, owner_database: Database, statement: str
) -> None:
    await keys.register(*NAMES)
    await keys.revoke(*NAMES, actor="operator/somebody")
    for role in (database, owner_database):
        with pytest.raises(Exception, match="a revoked license key stays revoked"):
            async with role.transaction() as connection:
                await connection.execute(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM license_keys",
        "TRUNCATE license_keys",
        "UPDATE license_keys SET user_id = user_id",
        "UPDATE license_keys SET created_at = now()",
        "ALTER TABLE license_keys DISABLE TRIGGER ALL",
        "INSERT INTO token_subjects (issuer, subject, user_id) VALUES ('i', 's', 1)",
        "UPDATE token_subjects SET user_id = 1",
        "DELETE FROM token_subjects",
        "UPDATE idempotency_keys SET fingerprint = ''",
        "UPDATE data_exhaust_users_resources SET resource_id = 'mine'",
        "UPDATE audit SET at = now()",
        "DELETE FROM audit",
        "TRUNCATE audit",
    ],
)
async def test_the_runtime_role_may_not(database: Database, statement: str) -> None:
    with pytest.raises(Exception, match=r"permission denied|must be owner"):
        async with database.transaction() as connection:
            await connection.execute(statement)


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
