"""How the tables come about, and what the role of the running services may do with them."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
from pydantic import SecretStr

from deploy.local.stack import Stack
from exhaust.errors import ErrorCode, ExhaustError
from exhaust.postgres.database import Database, UniqueConflictError, open_database
from exhaust.postgres.migrate import migrate
from tests.integration.conftest import RUNTIME_ROLE, RequestFactory, new_schema, within
from tests.support.s3_proxy import closed_port
from tests.support.tables import TABLES

INSERT_USER = """
INSERT INTO data_exhaust_users (client_name, license_key_name, license_key_hash, pepper_version)
VALUES ('client', 'key', $1, 1) RETURNING id
"""


@pytest.fixture
async def fresh(servers: Stack) -> AsyncIterator[Database]:
    """The owner's, in a schema that no migration has seen."""
    async with (
        new_schema(servers.postgres) as name,
        open_database(within(name, servers.postgres), pool_size=2) as opened,
    ):
        yield opened


async def tables(database: Database) -> set[str]:
    rows = await database.fetch("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
    return {row["tablename"] for row in rows}


async def test_a_fresh_database_gets_every_table_once(fresh: Database) -> None:
    applied = await migrate(fresh, runtime_role=RUNTIME_ROLE)
    assert applied[0] == "0001_initial.sql"
    assert applied == sorted(applied)
    assert await tables(fresh) >= TABLES
    assert await migrate(fresh, runtime_role=RUNTIME_ROLE) == []


async def test_two_migrations_at_once_share_the_work(fresh: Database) -> None:
    applied = await asyncio.gather(*(migrate(fresh, runtime_role=RUNTIME_ROLE) for _ in range(2)))
    assert [names for names in applied if not names] == [[]]
    assert await tables(fresh) >= TABLES


async def test_a_migration_that_was_changed_afterwards_is_refused(fresh: Database) -> None:
    await migrate(fresh, runtime_role=RUNTIME_ROLE)
    async with fresh.transaction() as connection:
        await connection.execute("UPDATE schema_migrations SET sha256 = 'of another text'")
    with pytest.raises(ValueError, match=r"0001_initial\.sql was changed"):
        await migrate(fresh, runtime_role=RUNTIME_ROLE)


async def test_a_refused_migration_changes_no_rights(fresh: Database) -> None:
    await migrate(fresh, runtime_role=RUNTIME_ROLE)
    async with fresh.transaction() as connection:
        await connection.execute("UPDATE schema_migrations SET sha256 = 'of another text'")
        await connection.execute(f"REVOKE ALL ON audit FROM {RUNTIME_ROLE}")
    with pytest.raises(ValueError, match="was changed"):
        await migrate(fresh, runtime_role=RUNTIME_ROLE)
    row = await fresh.fetch_one("SELECT has_table_privilege($1, 'audit', 'INSERT') AS granted", RUNTIME_ROLE)
    assert row is not None
    assert row["granted"] is False


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE audit",
        "DROP TABLE data_exhaust_users CASCADE",
        "ALTER TABLE requests DROP COLUMN state",
        "ALTER TABLE audit DISABLE TRIGGER ALL",
        "CREATE TABLE public.mine (id integer)",
        "TRUNCATE audit",
        "TRUNCATE data_exhaust_users CASCADE",
        "DELETE FROM data_exhaust_users",
        "UPDATE data_exhaust_users SET revoked_at = NULL",
        "UPDATE audit SET actor = 'nobody'",
        "DELETE FROM audit",
        "DELETE FROM requests",
        "DELETE FROM request_days",
        "UPDATE inbox SET event_id = 'another'",
        "UPDATE schema_migrations SET sha256 = ''",
    ],
)
async def test_the_runtime_role_may_not(database: Database, statement: str) -> None:
    with pytest.raises(Exception, match=r"permission denied|must be owner"):
        async with database.transaction() as connection:
            await connection.execute(statement)


async def test_the_tests_use_the_runtime_role(database: Database) -> None:
    row = await database.fetch_one("SELECT current_user::text AS name")
    assert row is not None
    assert row["name"] == RUNTIME_ROLE


async def test_a_row_that_exists_is_a_conflict_and_the_transaction_is_undone(
    database: Database, request_factory: RequestFactory
) -> None:
    await database.fetch_one(INSERT_USER, b"one")

    async def conflict() -> None:
        async with database.transaction() as connection:
            await connection.execute("INSERT INTO inbox (source, event_id) VALUES ('here', '1')")
            await connection.fetch_one(INSERT_USER, b"another")

    with pytest.raises(UniqueConflictError):
        await conflict()
    assert await database.fetch("SELECT 1 FROM inbox") == []
    assert await request_factory.user()


async def test_a_connection_whose_state_is_broken_is_unavailable(database: Database) -> None:
    """As the driver says of one that broke in the middle of something, instead of that it broke."""
    with pytest.raises(ExhaustError) as refused:
        async with database.transaction():
            raise asyncpg.InternalClientError("cannot switch to state 15; another operation (2) is in progress")
    assert refused.value.code is ErrorCode.SERVICE_UNAVAILABLE
    assert await database.fetch("SELECT 1")


async def test_a_database_that_is_away_is_unavailable() -> None:
    dsn = SecretStr(f"postgresql://nobody:nothing@127.0.0.1:{closed_port()}/nothing")
    with pytest.raises(ExhaustError) as refused:
        async with open_database(dsn, pool_size=1):
            pass
    assert refused.value.code is ErrorCode.SERVICE_UNAVAILABLE
    assert refused.value.retryable
