"""A database that asks PostgreSQL for the plan of every query before it runs."""

from __future__ import annotations

import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from exhaust.postgres.database import Connection, Database

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from exhaust.postgres.database import Row

_SEQUENTIAL: Final = re.compile(r"Seq Scan on (\w+)")


class ExplainedDatabase(Database):
    """Another database, whose plans are kept.

    Attributes:
        plans: of all queries so far.
    """

    def __init__(self, inner: Database) -> None:
        self.plans: list[str] = []
        self._inner = inner

    @asynccontextmanager
    async def transaction(self, *, dry_run: bool = False) -> AsyncIterator[Connection]:
        async with self._inner.transaction(dry_run=dry_run) as connection:
            yield _Explained(connection, self.plans)

    async def fetch(self, sql: str, *args: object) -> list[Row]:
        async with self.transaction() as connection:
            return await connection.fetch(sql, *args)

    async def fetch_one(self, sql: str, *args: object) -> Row | None:
        async with self.transaction() as connection:
            return await connection.fetch_one(sql, *args)

    def read_whole(self) -> set[str]:
        """The tables that a query read from the first row to the last."""
        return {table for plan in self.plans for table in _SEQUENTIAL.findall(plan)}


class _Explained(Connection):
    def __init__(self, inner: Connection, plans: list[str]) -> None:
        self._inner = inner
        self._plans = plans

    async def fetch(self, sql: str, *args: Any) -> list[Row]:
        await self._explain(sql, *args)
        return await self._inner.fetch(sql, *args)

    async def fetch_one(self, sql: str, *args: Any) -> Row | None:
        await self._explain(sql, *args)
        return await self._inner.fetch_one(sql, *args)

    async def execute(self, sql: str, *args: Any) -> int:
        return await self._inner.execute(sql, *args)

    async def _explain(self, sql: str, *args: Any) -> None:
        rows = await self._inner.fetch(f"EXPLAIN {sql}", *args)
        self._plans.append("\n".join(row[0] for row in rows))
