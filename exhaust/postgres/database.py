"""The one place that talks to PostgreSQL's driver: a pool and transactions."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import asyncpg
import orjson

from exhaust.errors import unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from asyncpg.pool import PoolConnectionProxy
    from pydantic import SecretStr

COMMAND_TIMEOUT_S: Final = 10.0
CONNECT_TIMEOUT_S: Final = 5.0
# Our statements have one good plan whatever their values are; planning anew costs as much as running them. A statement
# that gains from its values says so for its transaction (see PLAN_FOR_VALUES).
SESSION: Final = {"plan_cache_mode": "force_generic_plan"}
PLAN_FOR_VALUES: Final = "SET LOCAL plan_cache_mode = force_custom_plan"

Row = asyncpg.Record


class UniqueConflictError(Exception):
    """A row with these unique values exists already."""


class Connection:
    """A connection that is lent for a block."""

    def __init__(self, raw: PoolConnectionProxy) -> None:
        self._raw = raw

    async def fetch(self, sql: str, *args: object) -> list[Row]:
        """All rows."""
        return await self._raw.fetch(sql, *args)

    async def fetch_one(self, sql: str, *args: object) -> Row | None:
        """The first row, or None.

        Raises:
            UniqueConflictError: an INSERT met an existing row.
        """
        try:
            return await self._raw.fetchrow(sql, *args)
        except asyncpg.UniqueViolationError as error:
            raise UniqueConflictError from error

    async def execute(self, sql: str, *args: object) -> int:
        """Run a statement; the number of rows it touched."""
        tag = await self._raw.execute(sql, *args)
        count = tag.rpartition(" ")[2]
        return int(count) if count.isdigit() else 0


class Database:
    """A pool of connections. Every call has a deadline; a database that is away is SERVICE_UNAVAILABLE."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A transaction, committed at the end, rolled back on any exception.

        Raises:
            ExhaustError: SERVICE_UNAVAILABLE.
        """
        async with self._lent() as raw, raw.transaction():
            yield Connection(raw)

    async def fetch(self, sql: str, *args: object) -> list[Row]:
        """All rows of one statement, which is a transaction of its own."""
        async with self._lent() as raw:
            return await Connection(raw).fetch(sql, *args)

    async def fetch_one(self, sql: str, *args: object) -> Row | None:
        """The first row of one statement, which is a transaction of its own; or None."""
        async with self._lent() as raw:
            return await Connection(raw).fetch_one(sql, *args)

    @asynccontextmanager
    async def _lent(self) -> AsyncIterator[PoolConnectionProxy]:
        try:
            async with self._pool.acquire(timeout=CONNECT_TIMEOUT_S) as raw:
                yield raw
        except (
            OSError,
            TimeoutError,
            asyncpg.PostgresConnectionError,
            asyncpg.InterfaceError,
            asyncpg.OperatorInterventionError,
            asyncpg.InsufficientResourcesError,
        ) as error:
            raise unavailable("the database") from error

    async def ping(self) -> None:
        """Raises ExhaustError when the database does not answer."""
        await self.fetch_one("SELECT 1")


@asynccontextmanager
async def open_database(dsn: SecretStr, *, pool_size: int) -> AsyncIterator[Database]:
    """Connect to PostgreSQL.

    Args:
        dsn: postgresql://user:password@host:port/database
        pool_size: connections at most; they are opened as they are needed.

    Raises:
        ExhaustError: SERVICE_UNAVAILABLE.
    """
    try:
        pool = await asyncpg.create_pool(
            dsn.get_secret_value(),
            min_size=1,
            max_size=pool_size,
            max_inactive_connection_lifetime=0,  # no timer each time that a connection comes back
            timeout=CONNECT_TIMEOUT_S,
            command_timeout=COMMAND_TIMEOUT_S,
            init=_set_json_codec,
            reset=_keep_session,
            server_settings=SESSION,
        )
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        raise unavailable("the database") from error
    try:
        yield Database(pool)
    finally:
        await pool.close()


async def _set_json_codec(raw: asyncpg.Connection) -> None:
    await raw.set_type_codec(
        "jsonb", schema="pg_catalog", encoder=lambda value: orjson.dumps(value).decode(), decoder=orjson.loads
    )


async def _keep_session(raw: asyncpg.Connection) -> None:
    """Saves a round trip each time that a connection comes back: nobody changes what outlives a transaction."""
    if raw.is_in_transaction():  # cut off in the middle of ending it
        await raw.reset()
