"""Grants: which user may read which resource, however the row was written."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exhaust.errors import ExhaustError
from exhaust.postgres.database import Database
from exhaust.postgres.grants import Grant, GrantStore, ListedGrant
from exhaust.postgres.license_keys import UnknownClientError
from telemetry.resource_ids import canonical_resource_id, resource_id
from tests.integration.conftest import RequestFactory

FULL_SHA1 = "0474e1c817c08564614cd4ddebdd31b2e45c341a"  # of org.ekstep.partner.p3
RESOURCE = resource_id("org.ekstep.partner.p3")
INSERT = "INSERT INTO data_exhaust_users_resources (user_id, resource_id) VALUES ($1, $2) RETURNING resource"
HEX = st.from_regex(r"\A0{0,8}[0-9A-Fa-f]{24,40}\Z")
RESOURCE_IDS = HEX | HEX.map(str.upper) | st.from_regex(r"\A[A-Za-z0-9._-]{1,128}\Z")


@pytest.fixture
def grants(owner_database: Database) -> GrantStore:
    return GrantStore(owner_database)


@pytest.fixture
async def user_id(request_factory: RequestFactory) -> int:
    return await request_factory.user()


async def names(database: Database, user_id: int) -> tuple[str, str]:
    row = await database.fetch_one(
        "SELECT client_name, license_key_name FROM data_exhaust_users WHERE id = $1", user_id
    )
    assert row is not None
    return row["client_name"], row["license_key_name"]


async def test_a_grant_on_a_resource_is_for_every_dataset(grants: GrantStore, database: Database, user_id: int) -> None:
    assert not await grants.may_read(user_id, RESOURCE, None)
    await grants.add(Grant(*await names(database, user_id), RESOURCE), actor="operator/somebody")
    assert await grants.may_read(user_id, RESOURCE, None)
    assert await grants.may_read(user_id, RESOURCE, "D001")
    assert not await grants.may_read(user_id, resource_id("org.ekstep"), "D001")
    assert not await grants.may_read(user_id + 1, RESOURCE, "D001")


async def test_a_grant_can_be_for_one_dataset(grants: GrantStore, database: Database, user_id: int) -> None:
    await grants.add(Grant(*await names(database, user_id), RESOURCE, "D001"), actor="operator/somebody")
    assert await grants.may_read(user_id, RESOURCE, "D001")
    assert await grants.may_read(user_id, RESOURCE, None)
    assert not await grants.may_read(user_id, RESOURCE, "channel-raw")


@pytest.mark.parametrize(("minutes", "held"), [(-1, False), (1, True)])
async def test_a_grant_can_end(
    grants: GrantStore, database: Database, user_id: int, minutes: int, *, held: bool
) -> None:
    end = datetime.now(UTC) + timedelta(minutes=minutes)
    await grants.add(Grant(*await names(database, user_id), RESOURCE, None, end), actor="operator/somebody")
    assert await grants.may_read(user_id, RESOURCE, "D001") is held
    assert await grants.may_read(user_id, RESOURCE, None) is held


async def test_repeating_a_grant_moves_its_end(grants: GrantStore, database: Database, user_id: int) -> None:
    client = await names(database, user_id)
    over = datetime.now(UTC) - timedelta(minutes=1)
    for end, held in ((None, True), (over, False), (None, True)):
        await grants.add(Grant(*client, RESOURCE, None, end), actor="operator/somebody")
        assert await grants.may_read(user_id, RESOURCE, None) is held
    assert len(await database.fetch("SELECT 1 FROM data_exhaust_users_resources")) == 1


async def test_a_grant_is_in_the_audit(grants: GrantStore, database: Database, user_id: int) -> None:
    end = datetime(2030, 1, 1, tzinfo=UTC)
    await grants.add(Grant(*await names(database, user_id), RESOURCE, "D001", end), actor="operator/somebody")
    row = await database.fetch_one("SELECT actor, action, subject, detail FROM audit")
    assert row is not None
    assert dict(row) == {
        "actor": "operator/exhaust_owner/somebody",
        "action": "grant",
        "subject": f"user/{user_id}",
        "detail": {"resource": RESOURCE, "dataset": "D001", "expires": "2030-01-01T00:00:00+00:00"},
    }


async def test_an_unknown_or_revoked_client_gets_nothing(
    grants: GrantStore, database: Database, owner_database: Database, user_id: int
) -> None:
    client, key = await names(database, user_id)
    for unknown in (Grant("nobody", key, RESOURCE), Grant(client, "another key", RESOURCE)):
        with pytest.raises(UnknownClientError):
            await grants.add(unknown, actor="operator/somebody")
    async with owner_database.transaction() as connection:
        await connection.execute("UPDATE data_exhaust_users SET revoked_at = now()")
    with pytest.raises(UnknownClientError):
        await grants.add(Grant(client, key, RESOURCE), actor="operator/somebody")
    assert await database.fetch("SELECT 1 FROM data_exhaust_users_resources") == []
    assert await database.fetch("SELECT 1 FROM audit") == []


async def test_a_grant_is_withdrawn_at_once(grants: GrantStore, database: Database, user_id: int) -> None:
    client = await names(database, user_id)
    for dataset in (None, "D001", "channel-raw"):
        await grants.add(Grant(*client, RESOURCE, dataset), actor="operator/somebody")
    await grants.add(Grant(*client, "another"), actor="operator/somebody")
    assert await grants.remove(Grant(*client, RESOURCE, "D001"), actor="operator/somebody") == 1
    assert await grants.may_read(user_id, RESOURCE, "D001")  # by the grant on every dataset
    assert await grants.remove(Grant(*client, RESOURCE), actor="operator/somebody") == 2
    assert not await grants.may_read(user_id, RESOURCE, None)
    assert await grants.remove(Grant(*client, RESOURCE), actor="operator/somebody") == 0
    assert await grants.may_read(user_id, "another", None)
    rows = await database.fetch("SELECT detail FROM audit WHERE action = 'ungrant' ORDER BY id")
    assert [row["detail"] for row in rows] == [
        {"resource": RESOURCE, "dataset": "D001", "grants": 1},
        {"resource": RESOURCE, "dataset": None, "grants": 2},
    ]
    with pytest.raises(UnknownClientError):
        await grants.remove(Grant("nobody", "nothing", RESOURCE), actor="operator/somebody")


async def test_the_runtime_role_grants_and_withdraws(database: Database, user_id: int) -> None:
    grants, client = GrantStore(database), await names(database, user_id)
    for _ in range(2):
        await grants.add(Grant(*client, RESOURCE), actor="service/somebody")
    assert await grants.may_read(user_id, RESOURCE, None)
    assert await grants.remove(Grant(*client, RESOURCE), actor="service/somebody") == 1
    assert not await grants.may_read(user_id, RESOURCE, None)


def stored(listed: Sequence[ListedGrant]) -> list[Grant]:
    return [one.grant for one in listed]


async def test_a_clients_grants_and_who_has_access(
    grants: GrantStore, database: Database, owner_database: Database, request_factory: RequestFactory, user_id: int
) -> None:
    mine, others = await names(database, user_id), await names(database, await request_factory.user())
    revoked = await names(database, await request_factory.user())
    over = datetime.now(UTC) - timedelta(minutes=1)
    narrow, ended = Grant(*mine, RESOURCE, "D001"), Grant(*mine, "another", None, over)
    wide, gone = Grant(*others, RESOURCE), Grant(*revoked, RESOURCE)
    for grant in (narrow, ended, wide, gone, Grant(*others, RESOURCE, "channel-raw", over)):
        await grants.add(grant, actor="operator/somebody")
    async with owner_database.transaction() as connection:
        await connection.execute(
            "UPDATE license_keys SET revoked_at = now()"
            " WHERE user_id = (SELECT id FROM data_exhaust_users WHERE client_name = $1)",
            revoked[0],
        )
    assert {(grant.resource, grant.expires_at) for grant in stored(await grants.find_by_client(mine[0]))} == {
        (RESOURCE, None),
        ("another", over),
    }
    assert await grants.find_by_client(mine[0], "no such key") == []
    assert stored(await grants.find_by_client(revoked[0])) == [gone]
    assert stored(await grants.find_by_resource(RESOURCE)) == sorted(
        [narrow, wide], key=lambda grant: grant.client_name
    )
    assert stored(await grants.find_by_resource(RESOURCE, "D001")) == sorted(
        [narrow, wide], key=lambda grant: grant.client_name
    )
    assert stored(await grants.find_by_resource(RESOURCE, "channel-raw")) == [wide]
    assert await grants.find_by_resource("another") == []


@pytest.mark.parametrize(
    "written",
    [RESOURCE, RESOURCE.upper(), FULL_SHA1, FULL_SHA1.upper(), FULL_SHA1.lstrip("0")],
    ids=["short", "short upper-case", "full", "full upper-case", "zero dropped"],
)
async def test_a_row_written_by_hand_grants(
    grants: GrantStore, owner_database: Database, user_id: int, written: str
) -> None:
    async with owner_database.transaction() as connection:
        await connection.execute(INSERT, user_id, written)
    assert await grants.may_read(user_id, RESOURCE, "D001")


@pytest.mark.parametrize("written", ["", "a b", "a/b", "ü", "a\n", "x" * 129])
async def test_a_row_with_an_odd_resource_is_refused(owner_database: Database, user_id: int, written: str) -> None:
    with pytest.raises(Exception, match="violates check constraint"):
        async with owner_database.transaction() as connection:
            await connection.execute(INSERT, user_id, written)


# The tables need not be empty for each example: every example takes back what it inserted.
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(written=RESOURCE_IDS)
async def test_the_database_knows_the_canonical_form(owner_database: Database, user_id: int, written: str) -> None:
    async with owner_database.transaction() as connection:
        row = await connection.fetch_one(INSERT, user_id, written)
        await connection.execute("DELETE FROM data_exhaust_users_resources WHERE user_id = $1", user_id)
    assert row is not None
    assert row["resource"] == canonical_resource_id(written)


async def test_a_grant_keeps_the_plain_id_of_its_owner(database: Database, grants: GrantStore, user_id: int) -> None:
    owner = "org.example.partner.maple"
    client = await names(database, user_id)
    resource = resource_id(owner)
    await grants.add(Grant(*client, resource, owner=owner), actor="operator/somebody")
    await grants.add(Grant(*client, resource), actor="operator/somebody")  # which does not say it
    [listed] = await grants.find_by_client(client[0])
    assert listed.grant.owner == owner
    with pytest.raises(ExhaustError, match="another hash"):
        Grant(*client, resource, owner="org.example.partner.river")
