"""Filing: a request and its outbox row in one transaction. Accepted means durable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from exhaust import outbox
from exhaust.audit import record_action

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from exhaust.postgres import Connection, Database
    from exhaust.requests import DatasetRequest

_INSERT: Final = """
INSERT INTO requests
    (request_id, user_id, partner_id, username, dataset_id, resource, from_date, to_date, tags, days_total, synchronous)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
ON CONFLICT (user_id, dataset_id, resource, from_date, to_date, tags) WHERE state IN ('submitted', 'inprogress')
DO NOTHING
RETURNING request_id
"""
_SAME: Final = """
SELECT request_id FROM requests
WHERE user_id = $1 AND dataset_id = $2 AND resource = $3 AND from_date = $4 AND to_date = $5 AND tags = $6
ORDER BY created_at DESC LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class Submitter:
    """Who asks.

    Attributes:
        synchronous: somebody holds the line until the download exists, so it is released before others.
    """

    user_id: int
    partner_id: str
    username: str
    synchronous: bool = False


class Filing:
    """Files requests."""

    def __init__(self, database: Database, *, filed: Callable[[], None]) -> None:
        """Prepare.

        Args:
            database: with the runtime role.
            filed: told after a request was committed, so that it need not wait for the relay's next round.
        """
        self._database = database
        self._filed = filed

    async def file(self, request: DatasetRequest, submitter: Submitter, traceparent: str) -> UUID:
        """The id of the filed request, or of an identical one that is still in progress."""
        async with self._database.transaction() as connection:
            inserted = await connection.fetch_one(
                _INSERT,
                request.request_id,
                submitter.user_id,
                submitter.partner_id,
                submitter.username,
                request.dataset,
                request.resource,
                request.days.first,
                request.days.last,
                list(request.tags),
                len(request.days),
                submitter.synchronous,
            )
            if inserted is None:
                return await self._same(connection, request, submitter)
            await outbox.put(connection, request.request_id, 1, traceparent)
            await record_action(
                connection,
                actor=f"user/{submitter.user_id}",
                action="submit",
                subject=f"request/{request.request_id}",
                detail={"partner": submitter.partner_id, "username": submitter.username},
            )
        self._filed()
        return request.request_id

    async def _same(self, connection: Connection, request: DatasetRequest, submitter: Submitter) -> UUID:
        # It may have finished since the INSERT met it; then its download is as good as a new one.
        row = await connection.fetch_one(
            _SAME,
            submitter.user_id,
            request.dataset,
            request.resource,
            request.days.first,
            request.days.last,
            list(request.tags),
        )
        if row is None:
            raise LookupError("the identical request vanished; requests are never deleted")
        found: UUID = row["request_id"]
        return found
