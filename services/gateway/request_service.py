"""The request service: writes a request and its outbox row in one transaction. Accepted means durable."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog

from exhaust.errors import unavailable
from exhaust.postgres.idempotency_keys import IdempotencyKey
from exhaust.postgres.requests import Acceptance, accept_request, find_identical_request
from exhaust.postgres.submit_limits import limit_error
from exhaust.process.failpoints import failpoint
from services.gateway.idempotency import create_once, fingerprint_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from exhaust.domain.requests import DatasetRequest, Submitter
    from exhaust.postgres.database import Connection, Database
    from exhaust.postgres.requests import Limits


_MOST_TRIES: Final = 5  # of an insertion that meets an identical request, which is gone when it is looked for

log = structlog.get_logger(__name__)


class RequestService:
    """Creates requests."""

    def __init__(self, database: Database, limits: Limits, on_created: Callable[[], None]) -> None:
        """Prepare.

        Args:
            database: with the runtime role.
            limits: of new requests.
            on_created: called after a request was committed, so that it need not wait for the relay's next round.
        """
        self._database = database
        self._limits = limits
        self._on_created = on_created

    async def create(
        self, request: DatasetRequest, submitter: Submitter, traceparent: str, *, idempotency_key: str | None = None
    ) -> UUID:
        """Return the id of the new request, of an identical one in progress, or of the one that the key stands for.

        Raises:
            ExhaustError: RATE_LIMITED when the partner has too many open requests, or the user has used up a quota;
                INVALID_DATA_ERROR with status 422 when the key was used for something else.
        """
        if idempotency_key is None:
            request_id = await self._create(self._database, request, submitter, traceparent)
        else:
            async with self._database.transaction() as connection:
                request_id = await create_once(
                    connection,
                    IdempotencyKey(submitter.user_id, idempotency_key),
                    fingerprint_of(request, partner_id=submitter.partner_id, username=submitter.username),
                    request.request_id,
                    lambda: self._create(connection, request, submitter, traceparent),
                )
                failpoint("idempotency.before_commit")
        failpoint("submit.after_commit")
        if request_id == request.request_id:  # else it was accepted before
            log.info("request.accepted", request_id=str(request_id), dataset=request.dataset, days=len(request.days))
        self._on_created()
        return request_id

    async def _create(
        self, database: Connection | Database, request: DatasetRequest, submitter: Submitter, traceparent: str
    ) -> UUID:
        failpoint("submit.before_accept")
        for _ in range(_MOST_TRIES):
            acceptance = await accept_request(database, request, submitter, traceparent, self._limits)
            if acceptance is Acceptance.ACCEPTED:
                return request.request_id
            identical = await find_identical_request(database, request, submitter)
            if acceptance is not Acceptance.IDENTICAL:
                if identical is not None and not identical.state.is_terminal:
                    return identical.request_id
                raise limit_error(self._limits, acceptance)
            # It may have ended since the insertion met it; then its download is as good as a new one. Or it was
            # deleted since, and this request is the first of its kind again.
            if identical is not None:
                return identical.request_id
        raise unavailable("the service")
