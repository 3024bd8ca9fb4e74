"""Filing: a request and its outbox row in one transaction. Accepted means durable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from exhaust.errors import ErrorCode, ExhaustError
from exhaust.postgres import outbox
from exhaust.postgres.audit import Action, record_action
from services.gateway.idempotency import Intent, fingerprint_of, once

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from exhaust.domain.requests import DatasetRequest
    from exhaust.postgres.database import Connection, Database

INSERT: Final = """
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
OPEN: Final = """
SELECT count(*) AS open FROM (
    SELECT FROM requests WHERE partner_id = $1 AND state IN ('submitted', 'inprogress') LIMIT $2
) found
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

    def __init__(self, database: Database, *, max_open_per_partner: int, filed: Callable[[], None]) -> None:
        """Prepare.

        Args:
            database: with the runtime role.
            max_open_per_partner: unfinished requests that a partner may have.
            filed: told after a request was committed, so that it need not wait for the relay's next round.
        """
        self._database = database
        self._max_open = max_open_per_partner
        self._filed = filed

    async def file(
        self, request: DatasetRequest, submitter: Submitter, traceparent: str, *, idempotency_key: str | None = None
    ) -> UUID:
        """The id of the filed request, of an identical one in progress, or of the one that the key stands for.

        Raises:
            ExhaustError: RATE_LIMITED when the partner has too many open requests; INVALID_DATA_ERROR with status 422
                when the key was used for something else.
        """
        intent = None
        if idempotency_key is not None:
            asked = fingerprint_of(request, partner_id=submitter.partner_id, username=submitter.username)
            intent = Intent(submitter.user_id, idempotency_key, asked)
        async with self._database.transaction() as connection:

            async def write() -> UUID:
                return await self._write(connection, request, submitter, traceparent)

            request_id = await once(connection, intent, request.request_id, write)
        self._filed()
        return request_id

    async def _write(
        self, connection: Connection, request: DatasetRequest, submitter: Submitter, traceparent: str
    ) -> UUID:
        inserted = await connection.fetch_one(
            INSERT,
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
        await check_open_requests(connection, submitter.partner_id, self._max_open)
        await outbox.put(connection, request.request_id, 1, traceparent)
        await record_action(
            connection,
            actor=f"user/{submitter.user_id}",
            action=Action.SUBMIT,
            subject=f"request/{request.request_id}",
            detail={"partner": submitter.partner_id, "username": submitter.username},
        )
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


async def check_open_requests(connection: Connection, partner_id: str, maximum: int) -> None:
    """Refuse a request that is one too many, after it was written in the same transaction.

    Submits at the same instant do not see one another: a partner can pass the maximum by as many as are under way.

    Raises:
        ExhaustError: RATE_LIMITED.
    """
    row = await connection.fetch_one(OPEN, partner_id, maximum + 1)
    if row is not None and row["open"] > maximum:
        raise ExhaustError(
            ErrorCode.RATE_LIMITED,
            f"this partner has {maximum} requests in progress, which is the most allowed; try again when one is done",
        )
