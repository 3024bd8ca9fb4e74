"""The service that moves the states of requests, by completion events and updates, and when there is no progress.

How a request moves is decided in exhaust/domain/state_machine.py. Commands of people are in
exhaust/postgres/request_commands.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog

from exhaust.domain.state_machine import State, after_report, after_silence, after_update, counts
from exhaust.errors import ExhaustError
from exhaust.kafka.records import RejectionCode
from exhaust.postgres import outbox
from exhaust.postgres.audit import Action, record_action
from exhaust.postgres.inbox import is_recorded, record_event
from exhaust.postgres.parked_requests import park_request
from exhaust.postgres.request_progress import (
    AFTER_CANCEL,
    find_request,
    lock_request,
    lock_stuck_requests,
    move_request,
    record_day,
)
from exhaust.process.failpoints import failpoint
from schemas.events import SOURCE_AGGREGATOR, Completed, Failed, Progress
from services.status.claims import RefusedCompletionError, check_claim, reported_version

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import timedelta
    from uuid import UUID

    from exhaust.domain.catalogue import Catalogue
    from exhaust.domain.state_machine import StateVersion
    from exhaust.postgres.database import Connection, Database
    from exhaust.postgres.inbox import EventIdentity
    from exhaust.postgres.request_progress import EndedRequest, StandingRequest, StuckRequest
    from services.status.archive_check import ArchiveCheck
    from services.status.claims import Completion

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Claim:
    """A completion event, before anything of it is believed.

    Attributes:
        event: which it is.
        completion: what it says.
        traceparent: W3C trace context, or empty.
    """

    event: EventIdentity
    completion: Completion
    traceparent: str = ""


@dataclass(frozen=True, slots=True)
class Reaped:
    """The numbers of requests without progress, by what became of them: tried again, failed, parked."""

    again: int
    failed: int
    parked: int = 0


class RequestStates:
    """Applies what workers and external jobs report, and reaps requests without progress."""

    def __init__(
        self,
        database: Database,
        catalogue: Catalogue,
        archives: ArchiveCheck,
        on_ended: Callable[[EndedRequest | None], None] = lambda _: None,
    ) -> None:
        """Prepare.

        Args:
            database: with the status service's role.
            catalogue: says who may report which request.
            archives: checks what is said to be complete.
            on_ended: called with each end of a request, once it is committed.
        """
        self._on_ended = on_ended
        self._database = database
        self._catalogue = catalogue
        self._archives = archives

    async def apply(self, claim: Claim) -> None:
        """Apply a completion event; an event that was applied before changes nothing.

        Raises:
            RefusedCompletionError: the event must not count.
            ExhaustError: SERVICE_UNAVAILABLE; nothing was written.
        """
        completion = claim.completion
        outcome: Mapping[str, Any] | None = None
        if isinstance(completion, Failed):
            outcome = completion.error.model_dump(mode="json", exclude_none=True)
        if isinstance(completion, Completed):
            if await is_recorded(self._database, claim.event):
                return
            # Before the transaction, so that no lock waits for the store.
            outcome = await self._stored_archive(claim, completion)
        failpoint("status.before_inbox")
        async with self._database.transaction() as connection:
            if not await record_event(connection, claim.event):
                return
            failpoint("status.after_inbox")
            request = self._checked(claim, await lock_request(connection, completion.requestid))
            ended = await _apply(connection, request, completion, outcome)
            failpoint("status.before_commit")
        failpoint("status.after_commit")
        self._on_ended(ended)

    async def _stored_archive(self, claim: Claim, completion: Completed) -> Mapping[str, Any] | None:
        """Return what the store says of a claimed archive; None when the event does not count any more."""
        request = self._checked(claim, await find_request(self._database, completion.requestid))
        if request.deleted or not counts(request.version, completion.attempt):
            return None
        check = self._archives.own if self._executor(request) == SOURCE_AGGREGATOR else self._archives.elsewhere
        return await check(request.asked, completion.attempt, completion.archive)

    def _checked(self, claim: Claim, request: StandingRequest | None) -> StandingRequest:
        if request is None:
            raise unknown(claim.completion.requestid)
        check_claim(request, claim.event.source, claim.completion, executor=self._executor(request))
        return request

    def _executor(self, request: StandingRequest) -> str:
        dataset = self._catalogue.find(request.asked.dataset)
        return dataset.executor if dataset else SOURCE_AGGREGATOR

    async def standing(self, request_id: UUID) -> StandingRequest:
        """Return a request as it stands.

        Raises:
            RefusedCompletionError: there is no such request.
        """
        request = await find_request(self._database, request_id)
        if request is None:
            raise unknown(request_id)
        return request

    async def update(self, request_id: UUID, state: State, outcome: Mapping[str, Any] | None) -> None:
        """Apply the report of an external job to the present attempt. A request that has ended stays as it is.

        Args:
            request_id: the request.
            state: INPROGRESS, COMPLETE or FAILED.
            outcome: the checked archive of COMPLETE, the error (code, message) of FAILED, else None.

        Raises:
            RefusedCompletionError: there is no such request.
        """
        async with self._database.transaction() as connection:
            request = await lock_request(connection, request_id)
            if request is None:
                raise unknown(request_id)
            ended = None
            if not request.state.is_terminal:
                ended = await _move(connection, request, after_update(request.version, state, outcome), outcome)
            await record_action(
                connection,
                actor="service",
                action=Action.UPDATE_STATUS,
                subject=f"request/{request_id}",
                detail={"status": state.wire},
            )
            failpoint("update.before_commit")
        failpoint("update.after_commit")
        self._on_ended(ended)

    async def reap(self, *, no_progress_after: timedelta, max_attempts: int) -> Reaped:
        """Start the next attempt of requests without progress, and fail those that had their last: every request ends.

        A request for which neither can be written is parked, so that it stops no other.
        """
        again = 0
        ends: list[EndedRequest] = []
        parked: list[UUID] = []
        async with self._database.transaction() as connection:
            for stuck in await lock_stuck_requests(connection, no_progress_after):
                try:
                    async with connection.savepoint():
                        ended = await _retry_or_fail(connection, stuck, max_attempts)
                except ExhaustError:
                    raise  # the database is away
                except Exception as error:
                    log.exception("request.parked", request_id=str(stuck.request_id))
                    await park_request(connection, stuck.request_id, f"{type(error).__name__}: {error}")
                    parked.append(stuck.request_id)
                else:
                    again += ended is None
                    ends += [ended] if ended else []
            failpoint("reaper.before_commit")
        failpoint("reaper.after_commit")
        for ended in ends:
            self._on_ended(ended)
        return Reaped(again, len(ends), len(parked))


async def _retry_or_fail(connection: Connection, stuck: StuckRequest, max_attempts: int) -> EndedRequest | None:
    """Start the next attempt of a request, or fail it after its last; return its end, or None for an attempt."""
    version, error = after_silence(stuck.version, max_attempts=max_attempts)
    moved = await move_request(connection, stuck.request_id, version, error)
    if version.state.is_terminal:
        return moved.end_after(stuck.version)
    failpoint("reaper.after_attempt")
    await outbox.put(connection, stuck.request_id, version.attempt, "")
    return None


def unknown(request_id: UUID) -> RefusedCompletionError:
    """Return the error for a request that does not exist."""
    return RefusedCompletionError(RejectionCode.UNKNOWN_REQUEST, f"there is no request {request_id}", "/requestid")


async def _apply(
    connection: Connection, request: StandingRequest, completion: Completion, outcome: Mapping[str, Any] | None
) -> EndedRequest | None:
    """Write what an event says; return the end of the request if it was that. A deleted one stays as it ended."""
    is_cancelled = completion.attempt == request.attempt and request.state is State.CANCELLED
    if isinstance(completion, Progress) and completion.day is not None:
        day = completion.day
        await record_day(
            connection,
            completion.requestid,
            # What was built before the aggregators knew counts for the quota all the same.
            AFTER_CANCEL if is_cancelled or request.deleted else completion.attempt,
            day.day,
            events=day.events,
            size=day.bytes,
            built=not day.reused,
        )
    if counts(request.version, completion.attempt) and not request.deleted:
        version = after_report(request.version, reported_version(completion))
        return await _move(connection, request, version, outcome)
    return None


async def _move(
    connection: Connection, request: StandingRequest, version: StateVersion, outcome: Mapping[str, Any] | None
) -> EndedRequest | None:
    """Write the version after a report that counts. Also one that moves nothing is a sign of progress."""
    written = request.outcome if version == request.version else outcome
    moved = await move_request(connection, request.asked.request_id, version, written)
    return moved.end_after(request.version)
