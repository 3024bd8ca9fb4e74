"""The commands of people on a request: cancel, retry and delete, each in one transaction with its row of the audit."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from exhaust.domain.requests import unknown_request
from exhaust.domain.state_machine import State, after_cancel, after_partners_retry, after_retry, check_deletable
from exhaust.errors import CANCELLED_SENTENCE, ErrorCode, ExhaustError
from exhaust.postgres import outbox
from exhaust.postgres.audit import Action, record_action
from exhaust.postgres.cancel_markers import put_marker
from exhaust.postgres.database import UniqueConflictError
from exhaust.postgres.deleted_requests import mark_deleted
from exhaust.postgres.parked_requests import release_parked_request
from exhaust.postgres.request_progress import lock_request, move_request
from exhaust.postgres.submit_limits import check_limits
from exhaust.process.failpoints import failpoint

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime
    from uuid import UUID

    from exhaust.domain.state_machine import StateVersion
    from exhaust.postgres.database import Connection, Database
    from exhaust.postgres.request_progress import StandingRequest
    from exhaust.postgres.requests import Limits


@dataclass(frozen=True, slots=True)
class Cancellation:
    """A cancelled attempt at a request."""

    request_id: UUID
    attempt: int
    cancelled_at: datetime


@dataclass(frozen=True, slots=True)
class Retry:
    """The outcome of a partner's retry.

    Attributes:
        attempt: the present one.
        started: False when it was in progress before.
    """

    attempt: int
    started: bool


async def cancel_request(
    database: Database,
    request_id: UUID,
    *,
    actor: str,
    even_failed: bool = False,
    reason: str = "",
    dry_run: bool = False,
) -> Cancellation:
    """Cancel a request that has not ended. Of one that is cancelled, return what was returned before.

    Args:
        database: the status service's, or the owner's.
        request_id: the request.
        actor: as the audit names it.
        even_failed: cancel also one that has failed, so that work on its other days ends.
        reason: of an operator, for the audit.
        dry_run: change nothing.

    Raises:
        ExhaustError: INVALID_REQUESTID for an unknown request; INVALID_DATA_ERROR with status 409 for one that is
            complete or has failed.
    """
    async with database.transaction(dry_run=dry_run) as connection:
        request = await _lock(connection, request_id)
        version = after_cancel(request.version, even_failed=even_failed)
        if version == request.version and request.ended_at is not None:
            return Cancellation(request_id, version.attempt, request.ended_at)
        outcome = {"code": ErrorCode.CANCELLED.value, "message": CANCELLED_SENTENCE}
        moved = await move_request(connection, request_id, version, outcome)
        await outbox.remove(connection, request_id)
        await put_marker(connection, request_id, version.attempt)
        await record_action(
            connection,
            actor=actor,
            action=Action.CANCEL,
            subject=f"request/{request_id}",
            detail={"attempt": version.attempt} | ({"reason": reason} if reason else {}),
        )
        failpoint("cancel.before_commit")
    failpoint("cancel.after_commit")
    if moved.ended_at is None:
        raise LookupError(f"{State.CANCELLED} is an end, and has a time")
    return Cancellation(request_id, version.attempt, moved.ended_at)


async def retry_request(
    database: Database,
    request_id: UUID,
    *,
    actor: str,
    traceparent: str = "",
    reason: str = "",
    dry_run: bool = False,
) -> int:
    """Start the next attempt at a request that failed or was cancelled; return its number.

    One that was parked is released with it. Days that are finished are found by their fingerprint, so only the others
    are built.

    Args:
        database: the status service's, or the owner's.
        request_id: the request.
        actor: as the audit names it.
        traceparent: W3C trace context of the call, or empty.
        reason: of an operator, for the audit.
        dry_run: change nothing.

    Raises:
        ExhaustError: INVALID_REQUESTID for an unknown request; INVALID_DATA_ERROR with status 409 for one that is
            complete or in progress, had too many attempts, or has an identical one in progress.
    """
    async with _retrying(database, dry_run=dry_run) as connection:
        version = after_retry((await _lock(connection, request_id)).version)
        await _start(connection, request_id, version, actor=actor, traceparent=traceparent, reason=reason)
    return version.attempt


async def retry_failed_request(
    database: Database, request_id: UUID, *, actor: str, traceparent: str, limits: Limits
) -> Retry:
    """Start the next attempt at a request for its partner, within the limits of a submit.

    Of one that is in progress again, this changes nothing.

    Args:
        database: the status service's.
        request_id: the request.
        actor: as the audit names it.
        traceparent: W3C trace context of the call, or empty.
        limits: of the partner and the submitter.

    Raises:
        ExhaustError: as from `retry_request`, also for a cancelled one; RATE_LIMITED when a limit is reached.
    """
    async with _retrying(database) as connection:
        present = (await _lock(connection, request_id)).version
        version = after_partners_retry(present)
        if version == present:
            return Retry(version.attempt, started=False)
        await check_limits(connection, request_id, limits)
        await _start(connection, request_id, version, actor=actor, traceparent=traceparent)
    return Retry(version.attempt, started=True)


async def delete_request(database: Database, request_id: UUID, *, actor: str) -> None:
    """Delete a request that has ended: from now on nobody is told of it. Its objects and its row follow.

    Of a failed one other days may still be worked on: that ends too.

    Args:
        database: the status service's.
        request_id: the request.
        actor: as the audit names it.

    Raises:
        ExhaustError: INVALID_REQUESTID for an unknown request or one that is deleted; INVALID_DATA_ERROR with status
            409 for one in progress.
    """
    async with database.transaction() as connection:
        request = await _lock(connection, request_id)
        check_deletable(request.version)
        if request.state is State.FAILED:
            await put_marker(connection, request_id, request.attempt)
        await mark_deleted(connection, request_id)
        await record_action(
            connection,
            actor=actor,
            action=Action.DELETE,
            subject=f"request/{request_id}",
            detail={"attempt": request.attempt, "status": request.state.wire},
        )
        failpoint("delete.before_commit")
    failpoint("delete.after_commit")


async def _lock(connection: Connection, request_id: UUID) -> StandingRequest:
    request = await lock_request(connection, request_id)
    if request is None or request.deleted:
        raise unknown_request()
    return request


@asynccontextmanager
async def _retrying(database: Database, *, dry_run: bool = False) -> AsyncIterator[Connection]:
    try:
        async with database.transaction(dry_run=dry_run) as connection:
            yield connection
    except UniqueConflictError as error:
        raise ExhaustError(
            ErrorCode.INVALID_DATA_ERROR,
            "an identical request of the same user is in progress already; wait for that one",
            status=409,
        ) from error


async def _start(
    connection: Connection, request_id: UUID, version: StateVersion, *, actor: str, traceparent: str, reason: str = ""
) -> None:
    await move_request(connection, request_id, version, None)
    await release_parked_request(connection, request_id)
    await outbox.put(connection, request_id, version.attempt, traceparent)
    await record_action(
        connection,
        actor=actor,
        action=Action.RETRY,
        subject=f"request/{request_id}",
        detail={"attempt": version.attempt} | ({"reason": reason} if reason else {}),
    )
