"""Rows of the database, as its owner can read and write them by hand."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import asyncpg

if TYPE_CHECKING:
    from collections.abc import Mapping

# All columns of the template but those that are given, whichever columns there are.
_COPY: Final = """
INSERT INTO requests SELECT (jsonb_populate_record(r, $2::jsonb)).* FROM requests r WHERE request_id = $1
"""
_OF_CLIENT: Final = """
SELECT count(*) FROM requests r JOIN data_exhaust_users u ON u.id = r.user_id WHERE u.client_name = $1
"""
_FORGET: Final = """
WITH a AS (DELETE FROM outbox WHERE request_id = ANY($1)), b AS (DELETE FROM request_days WHERE request_id = ANY($1))
SELECT 1
"""
_OLD: Final = "UPDATE requests SET moved_at = now() - interval '2 hours' WHERE request_id = $1"
# What PostgreSQL answers when a table refuses a value: then there is no such row that could do harm.
_REFUSED: Final = (
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.DataError,
    asyncpg.RaiseError,
    asyncpg.ProgramLimitExceededError,
)


@dataclass(frozen=True, slots=True)
class Rows:
    """The database, as its owner."""

    pool: Any

    async def value(self, query: str, *arguments: object) -> Any:
        return await self.pool.fetchval(query, *arguments)

    async def requests_of(self, client_name: str) -> int:
        """How many requests a client has ever made."""
        return int(await self.value(_OF_CLIENT, client_name))

    async def newest_of(self, resource: str, dataset: str, within: float = 10) -> str:
        """The id of the newest request for a resource of a dataset; waits until there is one."""
        query = "SELECT request_id FROM requests WHERE (resource, dataset_id) = ($1, $2) ORDER BY created_at DESC"
        async with asyncio.timeout(within):
            while True:
                found = await self.value(query, resource, dataset)
                if found is not None:
                    return str(found)
                await asyncio.sleep(0.02)

    async def copy(self, request_id: str, change: Mapping[str, object], *, waits: bool = False) -> str | None:
        """Write a request that is like another one but for some columns; its id, or None when its table refuses it.

        Args:
            request_id: of the one that is copied.
            change: by column; a value as PostgreSQL reads it from JSON.
            waits: put it into the outbox too.
        """
        new = str(uuid4())
        try:
            async with self.pool.acquire() as connection, connection.transaction():
                await connection.execute(_COPY, request_id, json.dumps({"request_id": new} | dict(change)))
                if waits:
                    await connection.execute(
                        "INSERT INTO outbox (request_id, attempt, traceparent) SELECT request_id, attempt, $2"
                        " FROM requests WHERE request_id = $1",
                        new,
                        str(change.get("traceparent", "")),
                    )
        except _REFUSED:
            return None
        return new

    async def forget(self, request_ids: list[str]) -> None:
        """Delete requests and all that hangs on them."""
        await self.pool.execute(_FORGET, request_ids)
        await self.pool.execute("DELETE FROM requests WHERE request_id = ANY($1)", request_ids)

    async def look_abandoned(self, request_id: str) -> None:
        """Make a request look as if nothing had happened to it for two hours, so that the reaper takes it up."""
        await self.pool.execute(_OLD, request_id)
