"""The service that moves the states of requests, by completion events and updates. No other code moves them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson
import structlog

from exhaust.domain.object_keys import attempt_prefix
from exhaust.domain.requests import State, StateVersion
from exhaust.errors import ErrorCode, ExhaustError
from exhaust.postgres import outbox
from exhaust.postgres.audit import Action, record_action
from exhaust.postgres.inbox import record_event
from exhaust.postgres.parked_requests import park_request
from exhaust.postgres.request_progress import (
    lock_request,
    lock_stuck_requests,
    move_request,
    record_day,
    start_next_attempt,
)
from schemas.events import Completed, Failed, Progress

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta
    from uuid import UUID

    from exhaust.postgres.database import Connection, Database
    from exhaust.postgres.request_progress import LockedRequest, StuckRequest
    from schemas.events import FinishedDay

Completion = Progress | Completed | Failed

log = structlog.get_logger(__name__)

# A file name without a path, whichever system reads it.
_PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}", re.ASCII)


class RefusedCompletionError(Exception):
    """A report must not count: its request is unknown, or it names an object or a day of another."""


@dataclass(frozen=True, slots=True)
class Reaped:
    """The numbers of requests without progress, by what became of them: tried again, failed, parked."""

    again: int
    failed: int
    parked: int = 0


class RequestStates:
    """Applies what workers and external jobs report, and reaps requests without progress."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def apply(self, source: str, event_id: str, completion: Completion) -> None:
        """Apply a completion event; an event that was applied before changes nothing.

        Raises:
            RefusedCompletionError: the event must not count.
            ExhaustError: SERVICE_UNAVAILABLE; nothing was written.
        """
        async with self._database.transaction() as connection:
            if not await record_event(connection, source, event_id):
                return
            request = await _locked(connection, completion.requestid)
            if isinstance(completion, Progress) and completion.day is not None:
                await _finish_day(connection, request, completion, completion.day)
            await _advance(connection, completion.requestid, request, _reported(completion))

    async def update(self, request_id: UUID, state: State, outcome: Mapping[str, Any] | None) -> None:
        """Apply the report of an external job to the present attempt; repeating it changes nothing.

        Args:
            request_id: the request.
            state: INPROGRESS, COMPLETE or FAILED.
            outcome: the archive (key, size) of COMPLETE, the error (code, message) of FAILED, else None.

        Raises:
            RefusedCompletionError: there is no such request.
        """
        async with self._database.transaction() as connection:
            request = await _locked(connection, request_id)
            reported = StateVersion(request.attempt, state, _canonical(outcome))
            await _advance(connection, request_id, request, reported)
            await record_action(
                connection,
                actor="service",
                action=Action.UPDATE_STATUS,
                subject=f"request/{request_id}",
                detail={"status": state.wire},
            )

    async def reap(self, *, no_progress_after: timedelta, max_attempts: int) -> Reaped:
        """Start the next attempt of requests without progress, and fail those that had their last: every request ends.

        A request for which neither can be written is parked, so that it stops no other.
        """
        again = failed = 0
        parked: list[UUID] = []
        async with self._database.transaction() as connection:
            for stuck in await lock_stuck_requests(connection, no_progress_after):
                try:
                    async with connection.savepoint():
                        tried_again = await _retry_or_fail(connection, stuck, max_attempts)
                except ExhaustError:
                    raise  # the database is away
                except Exception as error:
                    log.exception("request.parked", request_id=str(stuck.request_id))
                    await park_request(connection, stuck.request_id, f"{type(error).__name__}: {error}")
                    parked.append(stuck.request_id)
                else:
                    again += tried_again
                    failed += not tried_again
        return Reaped(again, failed, len(parked))


async def _retry_or_fail(connection: Connection, stuck: StuckRequest, max_attempts: int) -> bool:
    """Start the next attempt of a request, or fail it after its last; return True for an attempt."""
    if stuck.attempt < max_attempts:
        await start_next_attempt(connection, stuck.request_id)
        await outbox.put(connection, stuck.request_id, stuck.attempt + 1, "")
        return True
    error = {
        "code": ErrorCode.NO_PROGRESS,
        "message": f"no progress in {max_attempts} attempts; submit it again, or tell the operators",
    }
    await move_request(connection, stuck.request_id, stuck.attempt, State.FAILED, error)
    return False


def _reported(completion: Completion) -> StateVersion:
    match completion:
        case Progress():
            return StateVersion(completion.attempt, State.INPROGRESS)
        case Completed():
            prefix = attempt_prefix(completion.requestid, completion.attempt)
            name = completion.archive.key.removeprefix(prefix)
            if name == completion.archive.key or not _PLAIN_NAME.fullmatch(name):
                raise RefusedCompletionError(f"the archive of request {completion.requestid} lies outside its prefix")
            return StateVersion(
                completion.attempt, State.COMPLETE, _canonical(completion.archive.model_dump(mode="json"))
            )
        case Failed():
            return StateVersion(
                completion.attempt,
                State.FAILED,
                _canonical(completion.error.model_dump(mode="json", exclude_none=True)),
            )


async def _locked(connection: Connection, request_id: UUID) -> LockedRequest:
    request = await lock_request(connection, request_id)
    if request is None:
        raise RefusedCompletionError(f"there is no request {request_id}")
    return request


async def _finish_day(
    connection: Connection, request: LockedRequest, completion: Progress, finished: FinishedDay
) -> None:
    if not request.days.first <= finished.day <= request.days.last:
        raise RefusedCompletionError(f"{finished.day} is no day of request {completion.requestid}")
    await record_day(
        connection,
        completion.requestid,
        completion.attempt,
        finished.day,
        events=finished.events,
        size=finished.bytes,
    )


async def _advance(connection: Connection, request_id: UUID, request: LockedRequest, reported: StateVersion) -> None:
    current = StateVersion(request.attempt, request.state, _canonical(request.outcome))
    version = current.advanced_by(reported)
    if reported.attempt == version.attempt:  # a report of an earlier attempt is no sign of progress
        outcome = orjson.loads(version.detail) if version.detail else None
        await move_request(connection, request_id, version.attempt, version.state, outcome)


def _canonical(outcome: Mapping[str, Any] | None) -> str:
    return orjson.dumps(outcome, option=orjson.OPT_SORT_KEYS).decode() if outcome else ""
