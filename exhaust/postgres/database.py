"""The connections to PostgreSQL: a pool and its transactions."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import asyncpg
import orjson

from exhaust.errors import Dependency, ErrorCode, ExhaustError, unavailable
from exhaust.metrics.call_times import CallTimes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager, AbstractContextManager
    from types import TracebackType

    from asyncpg.pool import PoolConnectionProxy
    from pydantic import SecretStr

    from exhaust.metrics.registry import MetricRegistry
    from exhaust.settings import PostgresSettings

COMMAND_TIMEOUT: Final = timedelta(seconds=10)
CONNECT_TIMEOUT: Final = timedelta(seconds=5)
CLOSE_TIMEOUT: Final = timedelta(seconds=3)
# Our statements have one good plan whatever their values are; planning anew costs as much as running them. A statement
# that gains from its values says so for its transaction (see PLAN_FOR_VALUES).
SESSION: Final = {"plan_cache_mode": "force_generic_plan"}
PLAN_FOR_VALUES: Final = "SET LOCAL plan_cache_mode = force_custom_plan"

Row = asyncpg.Record
# The server is away, or breaks off what it does.
_AWAY: Final = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # the state of a connection that broke in the middle of something
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.TransactionRollbackError,
)
# A statement met tables of another version, or a role without the rights that the migration command gives.
TABLES_DIFFER: Final = (asyncpg.InsufficientPrivilegeError, asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError)


class UniqueConflictError(Exception):
    """A row with these unique values exists already."""


class _DryRunError(Exception):
    """The end of a transaction whose effects are not wanted."""


class Connection:
    """A connection of the pool, for the time of one block."""

    def __init__(self, raw: PoolConnectionProxy) -> None:
        self._raw = raw

    async def fetch(self, sql: str, *args: object) -> list[Row]:
        """Return all rows of a statement."""
        return await self._raw.fetch(sql, *args)

    async def fetch_one(self, sql: str, *args: object) -> Row | None:
        """Return the first row of a statement, or None.

        Raises:
            UniqueConflictError: the statement inserts values that must be unique and exist already.
        """
        try:
            return await self._raw.fetchrow(sql, *args)
        except asyncpg.UniqueViolationError as error:
            raise UniqueConflictError from error

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """Run the block so that an exception undoes the block alone, and the transaction can go on."""
        async with self._raw.transaction():
            yield

    async def execute(self, sql: str, *args: object) -> int:
        """Run a statement and return the number of rows that it touched."""
        tag = await self._raw.execute(sql, *args)
        count = tag.rpartition(" ")[2]
        return int(count) if count.isdigit() else 0


class _Call:
    """A call that is measured, and raises our errors in place of the driver's.

    Each submit makes several, and as a generator this would take as long as the driver's own work on one.
    """

    __slots__ = ("_measured",)

    def __init__(self, times: CallTimes, operation: str) -> None:
        self._measured = times.measure(operation)

    def __enter__(self) -> None:
        self._measured.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._measured.__exit__(kind, error, where)
        if isinstance(error, _AWAY):
            raise unavailable(Dependency.POSTGRES) from error
        if isinstance(error, asyncpg.LockNotAvailableError):
            raise ExhaustError(
                ErrorCode.SERVICE_UNAVAILABLE,
                "another process holds a lock in the database; try again in a few seconds",
            ) from error


class Database:
    """A pool of connections. Every call has a deadline; without an answer it raises SERVICE_UNAVAILABLE."""

    def __init__(self, pool: asyncpg.Pool, times: CallTimes | None = None) -> None:
        self._pool = pool
        self._times = times or CallTimes(None, Dependency.POSTGRES)

    @asynccontextmanager
    async def transaction(self, *, dry_run: bool = False) -> AsyncIterator[Connection]:
        """Run the block in a transaction, which commits at its end and rolls back on any exception.

        Args:
            dry_run: roll back at the end too.

        Raises:
            ExhaustError: SERVICE_UNAVAILABLE.
        """
        with suppress(_DryRunError), self._call("transaction"):
            async with self._pool.acquire(timeout=CONNECT_TIMEOUT.total_seconds()) as raw, raw.transaction():
                yield Connection(raw)
                if dry_run:
                    raise _DryRunError

    async def fetch(self, sql: str, *args: object) -> list[Row]:
        """Return all rows of one statement, in a transaction of its own."""
        with self._call("statement"):
            async with self._pool.acquire(timeout=CONNECT_TIMEOUT.total_seconds()) as raw:
                return await Connection(raw).fetch(sql, *args)

    async def fetch_one(self, sql: str, *args: object) -> Row | None:
        """Return the first row of one statement, or None, in a transaction of its own."""
        with self._call("statement"):
            async with self._pool.acquire(timeout=CONNECT_TIMEOUT.total_seconds()) as raw:
                return await Connection(raw).fetch_one(sql, *args)

    def _call(self, operation: str) -> AbstractContextManager[None]:
        return _Call(self._times, operation)

    async def ping(self) -> None:
        """Raise ExhaustError when the database does not answer."""
        await self.fetch_one("SELECT 1")


@asynccontextmanager
async def open_database(
    dsn: SecretStr,
    *,
    pool_size: int,
    idle_timeout: timedelta | None = None,
    command_timeout: timedelta = COMMAND_TIMEOUT,
    connect: bool = True,
    registry: MetricRegistry | None = None,
) -> AsyncIterator[Database]:
    """Open a pool of connections for the time of the block.

    Args:
        dsn: postgresql://user:password@host:port/database
        pool_size: the most connections; each opens when it is first needed.
        idle_timeout: after how long without a statement the server ends a transaction, and frees its locks: a process
            that stands still in the middle of one stops no other. None leaves it to the server's configuration.
        command_timeout: how long a statement may take.
        connect: open the first connection now; else with the first statement, so that the block begins in any case.
        registry: exports how long statements and transactions take.

    Raises:
        ExhaustError: SERVICE_UNAVAILABLE.
    """
    try:
        pool = await asyncpg.create_pool(
            dsn.get_secret_value(),
            min_size=int(connect),
            max_size=pool_size,
            max_inactive_connection_lifetime=0,  # saves a timer for each returned connection
            timeout=CONNECT_TIMEOUT.total_seconds(),
            command_timeout=command_timeout.total_seconds(),
            init=_set_json_codec,
            reset=_keep_session,
            server_settings=SESSION | _idle_setting(idle_timeout),
        )
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        raise unavailable(Dependency.POSTGRES) from error
    try:
        yield Database(pool, CallTimes(registry, Dependency.POSTGRES))
    finally:
        # A server that hangs never confirms the end of a connection; then the driver cuts it.
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT.total_seconds()):
                await pool.close()


def open_service_database(
    settings: PostgresSettings, registry: MetricRegistry, *, connect: bool = True
) -> AbstractAsyncContextManager[Database]:
    """Open the database of a service for the time of a block; see open_database."""
    return open_database(
        settings.postgres_dsn,
        pool_size=settings.postgres_pool_size,
        idle_timeout=settings.postgres_idle_timeout,
        connect=connect,
        registry=registry,
    )


def _idle_setting(timeout: timedelta | None) -> dict[str, str]:
    if timeout is None:
        return {}
    return {"idle_in_transaction_session_timeout": str(timeout // timedelta(milliseconds=1))}


async def _set_json_codec(raw: asyncpg.Connection) -> None:
    await raw.set_type_codec(
        "jsonb", schema="pg_catalog", encoder=lambda value: orjson.dumps(value).decode(), decoder=orjson.loads
    )


async def _keep_session(raw: asyncpg.Connection) -> None:
    """Skip the reset of a returned connection, which costs a round trip: no statement here changes its session."""
    if raw.is_in_transaction():  # its end was cut off
        await raw.reset()
