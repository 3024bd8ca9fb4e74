"""License keys are replaced and revoked."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr

from exhaust.errors import ErrorCode
from exhaust.postgres.database import Database
from exhaust.postgres.grants import Grant, GrantStore
from exhaust.postgres.license_keys import KeyStore, UnknownClientError
from tests.integration.conftest import RESOURCE
from tests.integration.license_keys.conftest import NAMES, OLD, holder


async def test_the_old_key_works_beside_the_new_one_until_its_end(
    keys: KeyStore, database: Database, owner_database: Database
) -> None:
    old = await keys.register(*NAMES)
    await GrantStore(owner_database).add(Grant(*NAMES, RESOURCE), actor="operator/somebody")
    new = await keys.rotate(*NAMES, actor="operator/somebody")
    holders = [await holder(keys, license_key) for license_key in (old, new)]
    assert holders[0] == holders[1]
    assert await GrantStore(database).may_read(holders[1].user_id, RESOURCE, None)
    first, second = await keys.find_by_client("client")
    assert first.expires_at is not None
    assert timedelta(hours=23) < first.expires_at - datetime.now(UTC) <= timedelta(hours=24)
    assert (first.state(datetime.now(UTC)), second.state(datetime.now(UTC))) == ("ending", "valid")
    assert first.state(first.expires_at) == "expired"
    async with owner_database.transaction() as connection:
        await connection.execute("UPDATE license_keys SET expires_at = now() WHERE id = $1", first.number)
    assert await keys.authenticate(old) is None
    assert await keys.authenticate(new) == holders[0]


async def test_a_rotation_without_overlap_ends_all_older_keys(keys: KeyStore) -> None:
    first = await keys.register(*NAMES)
    second = await keys.rotate(*NAMES, actor="operator/somebody")
    third = await keys.rotate(*NAMES, actor="operator/somebody", overlap=timedelta())
    for ended in (first, second):
        assert await keys.authenticate(ended) is None
    assert (await holder(keys, third)).license_key_name == "dashboard"


async def test_a_second_rotation_does_not_extend_older_keys(keys: KeyStore) -> None:
    await keys.register(*NAMES)
    await keys.rotate(*NAMES, actor="operator/somebody", overlap=timedelta(hours=1))
    await keys.rotate(*NAMES, actor="operator/somebody", overlap=timedelta(hours=9))
    first, second, third = await keys.find_by_client("client")
    assert first.expires_at is not None
    assert second.expires_at is not None
    assert second.expires_at - first.expires_at > timedelta(hours=7)
    assert third.expires_at is None


async def test_rotations_at_once_leave_one_key_without_an_end(keys: KeyStore) -> None:
    await keys.register(*NAMES)
    await asyncio.gather(*(keys.rotate(*NAMES, actor="operator/somebody") for _ in range(8)))
    ends = [key.expires_at for key in await keys.find_by_client("client")]
    assert (len(ends), ends.count(None)) == (9, 1)


async def test_a_revocation_covers_a_key_of_a_rotation_at_the_same_time(keys: KeyStore) -> None:
    for name in map(str, range(10)):
        await keys.register("client", name)
        outcomes = await asyncio.gather(
            keys.rotate("client", name, actor="operator/somebody"),
            keys.revoke("client", name, actor="operator/somebody"),
            return_exceptions=True,
        )
        assert outcomes[1] in (1, 2)
        assert isinstance(outcomes[0], str | UnknownClientError)
    assert {key.state(datetime.now(UTC)) for key in await keys.find_by_client("client")} == {"revoked"}


async def test_revoking_is_at_once_for_good_and_in_the_audit(keys: KeyStore, database: Database) -> None:
    old, other = await keys.register(*NAMES), await keys.register("client", "other")
    new = await keys.rotate(*NAMES, actor="operator/somebody")
    second_gateway = KeyStore(database, {1: SecretStr(OLD)})
    await second_gateway.authenticate(new)
    assert await keys.revoke(*NAMES, actor="operator/somebody") == 2
    for revoked in (old, new):
        assert await second_gateway.authenticate(revoked) is None
    assert (await holder(second_gateway, other)).license_key_name == "other"
    assert await keys.revoke(*NAMES, actor="operator/somebody") == 0
    with pytest.raises(UnknownClientError):
        await keys.rotate(*NAMES, actor="operator/somebody")
    acts = await database.fetch("SELECT action, actor, detail FROM audit ORDER BY id")
    assert [row["action"] for row in acts] == ["register", "register", "rotate", "revoke"]
    assert (acts[-1]["actor"], acts[-1]["detail"]) == ("operator/exhaust_runtime/somebody", {"keys": 2})
    assert acts[-2]["detail"] == {"overlap_seconds": 24 * 3600}


async def test_one_of_two_keys_can_be_revoked(keys: KeyStore) -> None:
    lost = await keys.register(*NAMES)
    kept = await keys.rotate(*NAMES, actor="operator/somebody")
    number = (await keys.find_by_client("client"))[0].number
    assert await keys.revoke("client", "dashboard", actor="operator/somebody", number=number) == 1
    assert await keys.revoke("client", "dashboard", actor="operator/somebody", number=number) == 0
    assert await keys.authenticate(lost) is None
    assert (await holder(keys, kept)).client_name == "client"


async def test_the_key_of_another_cannot_be_revoked_by_its_number(keys: KeyStore) -> None:
    await keys.register(*NAMES)
    await keys.register("another client", "dashboard")
    (mine,) = await keys.find_by_client("another client")
    assert await keys.revoke(*NAMES, actor="operator/somebody", number=mine.number) == 0
    assert mine.revoked_at is None
    assert await keys.find_by_client("another client") == [mine]


@pytest.mark.parametrize("names", [("client", "another"), ("another", "dashboard"), ("", ""), ("dashboard", "client")])
async def test_an_unregistered_client_is_unknown(keys: KeyStore, names: tuple[str, str]) -> None:
    await keys.register(*NAMES)
    for act in (keys.rotate(*names, actor="me"), keys.revoke(*names, actor="me"), keys.find_client(*names)):
        with pytest.raises(UnknownClientError) as refused:
            await act
        assert refused.value.code is ErrorCode.NOT_FOUND
