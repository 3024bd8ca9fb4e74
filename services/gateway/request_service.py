"""The request service: writes a request and its outbox row in one transaction. Accepted means durable."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exhaust.domain.requests import partner_resource
from exhaust.errors import ErrorCode, ExhaustError
from exhaust.postgres import outbox
from exhaust.postgres.audit import Action, record_action
from exhaust.postgres.idempotency_keys import IdempotencyKey
from exhaust.postgres.requests import count_open_requests, find_identical_request, insert_request
from services.gateway.idempotency import create_once, fingerprint_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from exhaust.domain.requests import DatasetRequest, Submitter
    from exhaust.postgres.database import Connection, Database


class RequestService:
    """Creates requests."""

    def __init__(self, database: Database, *, max_open_per_partner: int, on_created: Callable[[], None]) -> None:
        """Prepare.

        Args:
            database: with the runtime role.
            max_open_per_partner: unfinished requests that a partner may have.
            on_created: called after a request was committed, so that it need not wait for the relay's next round.
        """
        self._database = database
        self._max_open = max_open_per_partner
        self._on_created = on_created

    async def create(
        self, request: DatasetRequest, submitter: Submitter, traceparent: str, *, idempotency_key: str | None = None
    ) -> UUID:
        """Return the id of the new request, of an identical one in progress, or of the one that the key stands for.

        Raises:
            ExhaustError: RATE_LIMITED when the partner has too many open requests; INVALID_DATA_ERROR with status 422
                when the key was used for something else.
        """
        async with self._database.transaction() as connection:
            if idempotency_key is None:
                request_id = await self._create(connection, request, submitter, traceparent)
            else:
                request_id = await create_once(
                    connection,
                    IdempotencyKey(submitter.user_id, idempotency_key),
                    fingerprint_of(request, partner_id=submitter.partner_id, username=submitter.username),
                    request.request_id,
                    lambda: self._create(connection, request, submitter, traceparent),
                )
        self._on_created()
        return request_id

    async def _create(
        self, connection: Connection, request: DatasetRequest, submitter: Submitter, traceparent: str
    ) -> UUID:
        if not await insert_request(connection, request, submitter):
            # It may have ended since the insertion met it; then its download is as good as a new one.
            identical = await find_identical_request(connection, request, submitter)
            if identical is None:
                raise LookupError("the identical request vanished; requests are never deleted")
            return identical
        partner = partner_resource(submitter.partner_id, request.resource)
        await check_open_requests(connection, partner, self._max_open)
        await outbox.put(connection, request.request_id, 1, traceparent)
        await record_action(
            connection,
            actor=f"user/{submitter.user_id}",
            action=Action.SUBMIT,
            subject=f"request/{request.request_id}",
            detail={"partner": submitter.partner_id, "username": submitter.username},
        )
        return request.request_id


async def check_open_requests(connection: Connection, partner: str, maximum: int) -> None:
    """Refuse a request that is one too many, after it was written in the same transaction.

    Submits at the same instant do not see one another: a partner can pass the maximum by as many as are under way.

    Raises:
        ExhaustError: RATE_LIMITED.
    """
    if await count_open_requests(connection, partner, at_most=maximum + 1) > maximum:
        raise ExhaustError(
            ErrorCode.RATE_LIMITED,
            f"this partner has {maximum} requests in progress, which is the most allowed; try again when one is done",
        )
