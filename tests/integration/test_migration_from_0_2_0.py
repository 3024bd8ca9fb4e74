"""The tables of this version under the statements of the version before, whose processes may still run."""

from __future__ import annotations

import hashlib
from datetime import date, timedelta
from importlib import resources
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import pytest
from pydantic import SecretStr

from exhaust.errors import ExhaustError
from exhaust.postgres import outbox
from exhaust.postgres.database import Database, open_database
from exhaust.postgres.migrate import migrate
from exhaust.postgres.retention import Prunable, prune_batch
from tests.integration.conftest import RUNTIME_ROLE, new_schema, within
from tests.support import version_0_2_0 as old

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from deploy.local.stack import Stack

LAST_OF_0_2_0 = "0008"
DAY = date(2026, 11, 1)
HOUR = timedelta(hours=1)
USER = """
INSERT INTO data_exhaust_users (client_name, license_key_name, license_key_hash, pepper_version)
VALUES ('client', 'key', 'hash', 1) RETURNING id
"""
TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"


@pytest.fixture
async def fresh(servers: Stack) -> AsyncIterator[tuple[str, Database]]:
    """A schema that no migration has seen, and its owner's database."""
    async with (
        new_schema(servers.postgres) as name,
        open_database(within(name, servers.postgres), pool_size=2) as opened,
    ):
        yield name, opened


async def tables_of_0_2_0(owner: Database) -> None:
    """The tables as `exhaustctl migrate` of that version left them."""
    folder = resources.files("exhaust.postgres.migrations")
    files = sorted((file for file in folder.iterdir() if file.name[:4].isdigit()), key=lambda file: file.name)
    async with owner.transaction() as connection:
        await connection.execute(
            "CREATE TABLE schema_migrations"
            " (name text PRIMARY KEY, sha256 text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        for file in (file for file in files if file.name[:4] <= LAST_OF_0_2_0):
            sql = file.read_text()
            await connection.execute(sql)
            digest = hashlib.sha256(sql.encode()).hexdigest()
            await connection.execute("INSERT INTO schema_migrations (name, sha256) VALUES ($1, $2)", file.name, digest)


async def submit(database: Database, user_id: int) -> UUID:
    """A submit of 0.2.0."""
    request_id = uuid4()
    row = (request_id, user_id, "partner", "somebody", "d", "r", DAY, DAY, [str(request_id)], 1, False, "p")
    async with database.transaction() as connection:
        assert await connection.fetch_one(old.REQUESTS_INSERT, *row) is not None
        await connection.fetch(old.REQUESTS_COUNT_OPEN, "p", 200)
        await connection.execute(old.OUTBOX_PUT, request_id, 1, "")
        await connection.execute(old.AUDIT_RECORD, f"user/{user_id}", "submit", f"request/{request_id}", {})
    return request_id


async def release(database: Database) -> list[UUID]:
    """A release of a relay of 0.2.0."""
    async with database.transaction() as connection:
        await connection.fetch(old.OUTBOX_TRY_LOCK, outbox.RELEASE_LOCK)
        rows = await connection.fetch(old.OUTBOX_NEXT, 4, 100)
        for row in rows:
            await connection.execute(old.OUTBOX_MARK_RELEASED, row["request_id"], row["attempt"])
    return [row["request_id"] for row in rows]


async def complete(database: Database, request_id: UUID) -> None:
    """A completion that a status service of 0.2.0 applies."""
    async with database.transaction() as connection:
        assert await connection.execute(old.INBOX_INSERT, "source", str(request_id), b"digest") == 1
        await connection.fetch_one(f"{old.REQUEST_PROGRESS_FIND} FOR UPDATE", request_id)
        await connection.execute(old.REQUEST_PROGRESS_RECORD_DAY, request_id, 1, DAY, 1, 2)
        await connection.execute(old.REQUEST_PROGRESS_MOVE, request_id, 1, "complete", {"key": "k"})


async def test_processes_of_0_2_0_go_on_with_the_tables_of_this_version(
    fresh: tuple[str, Database], runtime_dsn: SecretStr, schema: str
) -> None:
    name, owner = fresh
    await tables_of_0_2_0(owner)
    user = await owner.fetch_one(USER)
    assert user is not None
    early = await submit(owner, user["id"])
    await migrate(owner, runtime_role=RUNTIME_ROLE)
    dsn = SecretStr(runtime_dsn.get_secret_value().replace(schema, name))
    async with open_database(dsn, pool_size=2) as runtime:
        late = await submit(runtime, user["id"])
        # A gateway of this version has claimed one; one of 0.2.0 does not know, and what comes twice counts once.
        [claimed] = await outbox.claim_entries(runtime, max_in_flight_per_partner=1, limit=1, claim_for=HOUR)
        assert claimed.request.request_id == early
        assert set(await release(runtime)) == {early, late}
        await outbox.delete_released(runtime, [claimed])
        for request_id in (early, late):
            await complete(runtime, request_id)
            found = await runtime.fetch_one(old.REQUESTS_FIND_STATE, request_id)
            assert found is not None
            assert found["state"] == "complete"
        assert await runtime.fetch(old.REQUEST_PROGRESS_LOCK_STUCK, HOUR) == []
        async with runtime.transaction() as connection:
            key = (user["id"], "key")
            await connection.execute(old.IDEMPOTENCY_KEYS_FORGET_EXPIRED, *key, HOUR)
            assert await connection.execute(old.IDEMPOTENCY_KEYS_TAKE, *key, b"f", late) == 1
            assert await connection.fetch_one(old.IDEMPOTENCY_KEYS_FIND, *key) is not None
            await connection.execute(old.IDEMPOTENCY_KEYS_POINT_TO, *key, early)
            await connection.execute(old.IDEMPOTENCY_KEYS_SWEEP, user["id"], HOUR, 100)
            await connection.execute(old.PARKED_REQUESTS_PARK, late, "a reason")
            await connection.execute(old.PARKED_REQUESTS_RELEASE, late)
        assert await runtime.fetch_one(old.LICENSE_KEYS_AUTHENTICATE, [b"hash"]) is not None
        # And this version removes what that one wrote.
        async with owner.transaction() as connection:
            await connection.execute("UPDATE requests SET ended_at = now() - interval '1 hour'")
        assert await prune_batch(runtime, Prunable.REQUESTS, timedelta(minutes=30)) == 2


async def test_a_migration_that_fails_leaves_nothing_half_done(fresh: tuple[str, Database]) -> None:
    _, owner = fresh
    async with owner.transaction() as connection:
        await connection.execute("CREATE TABLE inbox (mine text)")  # in the way of the first migration, at its end
    with pytest.raises(Exception, match='relation "inbox" already exists'):
        await migrate(owner, runtime_role=RUNTIME_ROLE)
    assert [row["tablename"] for row in await owner.fetch(TABLES)] == ["inbox"]
    async with owner.transaction() as connection:
        await connection.execute("DROP TABLE inbox")
    assert (await migrate(owner, runtime_role=RUNTIME_ROLE))[0] == "0001_initial.sql"


async def test_a_migration_that_has_to_wait_gives_up_before_it_stops_everybody(
    fresh: tuple[str, Database], servers: Stack
) -> None:
    name, owner = fresh
    await tables_of_0_2_0(owner)
    async with (
        open_database(within(name, servers.postgres), pool_size=1) as other,
        other.transaction() as connection,
    ):
        await connection.execute("SELECT FROM outbox")  # a long transaction of somebody else
        with pytest.raises(ExhaustError, match="another process holds a lock"):
            await migrate(owner, runtime_role=RUNTIME_ROLE, lock_timeout=timedelta(milliseconds=100))
    assert "0012_retention.sql" in await migrate(owner, runtime_role=RUNTIME_ROLE)
