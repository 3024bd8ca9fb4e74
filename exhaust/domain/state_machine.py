"""The states of a request, and the one place that decides how it moves from one to another. Everything here is pure.

    attempt n
      submitted ──▶ inprogress ──▶ complete
          │             ├────────▶ failed ──(a download is found after all)──▶ complete
          └─────────────┴────────▶ cancelled
    attempt n + 1
      submitted ◀── submitted, inprogress   no progress for too long, and attempts are left
      submitted ◀── failed, cancelled       a retry

Completion events come twice, late and in any order. So a state has a version that only grows: by attempt first, by the
order of the states above second, and by the day that failed third. Of all that is reported the greatest version stays,
and any order of the same events ends alike. A cancelled attempt is the greatest of all: nothing that comes later
changes it. People and the reaper decide by the state that they meet: a request that has ended is not cancelled, and one
that has not is not retried. Only an erasure cancels what has failed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from exhaust.domain.failures import RequestFailure
from exhaust.errors import ErrorCode, ExhaustError

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_ATTEMPTS: Final = 1000  # that an event can name (schemas/events.py)
_CONFLICT: Final = 409


class State(StrEnum):
    """The state of a request. SUBMITTED waits in the outbox and is `inprogress` on the wire."""

    SUBMITTED = "submitted"
    INPROGRESS = "inprogress"
    FAILED = "failed"
    COMPLETE = "complete"
    CANCELLED = "cancelled"

    @property
    def rank(self) -> int:
        """The order within an attempt. COMPLETE outranks FAILED: a download that exists is the better truth."""
        return list(State).index(self)

    @property
    def is_terminal(self) -> bool:
        """True when nothing more happens in this attempt."""
        return self in {State.COMPLETE, State.FAILED, State.CANCELLED}

    @property
    def wire(self) -> str:
        """The documented word of the API: inprogress, complete or failed."""
        return {State.SUBMITTED: State.INPROGRESS, State.CANCELLED: State.FAILED}.get(self, self)


# What a job elsewhere may report of a request, by the words of the API.
REPORTABLE: Final = {str(state): state for state in (State.INPROGRESS, State.COMPLETE, State.FAILED)}


@dataclass(frozen=True, slots=True)
class StateVersion:
    """A state of a request, comparable with all other states that it may reach.

    Attributes:
        attempt: 1, 2, …
        state: reached in that attempt.
        failure: why it FAILED; None in other states.
    """

    attempt: int
    state: State
    failure: RequestFailure | None = None

    @staticmethod
    def of(attempt: int, state: State, outcome: object) -> StateVersion:
        """Return the version of a request as it is stored.

        Args:
            attempt: the latest.
            state: of it.
            outcome: the error of a failed request; of others it does not matter.
        """
        return StateVersion(attempt, state, RequestFailure.of(outcome) if state is State.FAILED else None)

    def supersedes(self, present: StateVersion) -> bool:
        """Return True when this version is greater than the present one."""
        return self._order > present._order

    @property
    def _order(self) -> tuple[int, int, int, int]:
        return self.attempt, self.state.rank, *(self.failure.order if self.failure else (0, 0))


class NeverStartedError(Exception):
    """A report of an attempt that was never started."""


def counts(present: StateVersion, attempt: int) -> bool:
    """Return True when a report of an attempt says anything about a request that stands at the present version.

    What is said of an earlier attempt, or of a cancelled one, changes nothing and is no sign of progress.

    Raises:
        NeverStartedError: nobody has started that attempt.
    """
    if attempt > present.attempt:
        raise NeverStartedError(f"attempt {attempt} was never started")
    return attempt == present.attempt and present.state is not State.CANCELLED


def after_report(present: StateVersion, reported: StateVersion) -> StateVersion:
    """Return where a request stands after a report: the greater version, if the report counts.

    Raises:
        NeverStartedError: see `counts`.
    """
    return reported if counts(present, reported.attempt) and reported.supersedes(present) else present


def after_update(present: StateVersion, state: State, outcome: object) -> StateVersion:
    """Return where a request stands after a job elsewhere reported its present attempt: its first end stays."""
    if present.state.is_terminal:
        return present
    return after_report(present, StateVersion.of(present.attempt, state, outcome))


def after_silence(present: StateVersion, *, max_attempts: int) -> tuple[StateVersion, Mapping[str, str] | None]:
    """Return where an unfinished request without progress goes: into its next attempt, or after its last it fails.

    Returns:
        The version, and the error to store with it.
    """
    if present.attempt < max_attempts:
        return _next_attempt(present), None
    error = {"code": ErrorCode.NO_PROGRESS.value, "message": f"no progress in attempt {present.attempt}, the last"}
    return StateVersion.of(present.attempt, State.FAILED, error), error


def after_cancel(present: StateVersion, *, even_failed: bool = False) -> StateVersion:
    """Return where a request stands when it is cancelled: what is cancelled stays so.

    Args:
        present: its version.
        even_failed: cancel also one that has failed, so that work on its other days ends.

    Raises:
        ExhaustError: INVALID_DATA_ERROR with status 409 when it is complete or has failed.
    """
    stays = {State.COMPLETE} if even_failed else {State.COMPLETE, State.FAILED}
    if present.state in stays:
        raise _conflict(f"the request is {present.state.wire} already, so there is nothing left to cancel")
    return StateVersion(present.attempt, State.CANCELLED)


def after_retry(present: StateVersion) -> StateVersion:
    """Return where a request stands when it is retried: submitted, in its next attempt.

    Raises:
        ExhaustError: INVALID_DATA_ERROR with status 409 when it has neither failed nor was cancelled, or had too many
            attempts.
    """
    if present.state is State.COMPLETE:
        raise _conflict("the request is complete; its download is there, so there is nothing to try again")
    if not present.state.is_terminal:
        raise _conflict("the request is in progress; wait for its end, or cancel it first")
    if present.attempt >= MAX_ATTEMPTS:
        raise _conflict(f"the request had {MAX_ATTEMPTS} attempts, the most that it may have; submit it anew")
    return _next_attempt(present)


def after_partners_retry(present: StateVersion) -> StateVersion:
    """Return where a failed request stands when its partner retries it; one that is in progress again stays there.

    Raises:
        ExhaustError: INVALID_DATA_ERROR with status 409, as of a retry; also when it was cancelled.
    """
    if present.state is State.CANCELLED:
        raise _conflict("the request was cancelled, and only a failed one is tried again; submit it anew")
    if not present.state.is_terminal and present.attempt > 1:
        return present
    return after_retry(present)


def check_deletable(present: StateVersion) -> None:
    """Check that a request may be deleted.

    Raises:
        ExhaustError: INVALID_DATA_ERROR with status 409 when it is in progress.
    """
    if not present.state.is_terminal:
        raise _conflict("the request is in progress; cancel it first, then delete it")


def _next_attempt(present: StateVersion) -> StateVersion:
    return StateVersion(present.attempt + 1, State.SUBMITTED)


def _conflict(sentence: str) -> ExhaustError:
    return ExhaustError(ErrorCode.INVALID_DATA_ERROR, sentence, status=_CONFLICT)
