"""The rules by which a completion event counts. An event is a claim, whoever sent it.

Pure: what is asked of the store stands in archive_check.py, and what becomes of a claim in request_states.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from exhaust.domain.object_keys import WorkPlace, work_id, work_place
from exhaust.domain.state_machine import NeverStartedError, State, StateVersion, counts
from exhaust.kafka.records import RejectionCode
from schemas.events import Completed, Failed, Progress

if TYPE_CHECKING:
    from datetime import date

    from exhaust.domain.requests import DatasetRequest
    from exhaust.postgres.request_progress import StandingRequest

Completion = Progress | Completed | Failed


class RefusedCompletionError(Exception):
    """A report must not count.

    Args:
        code: why, in one word.
        reason: why, in a sentence for operators.
        pointer: the wrong place of the event as a JSON pointer; empty for the whole.
    """

    def __init__(self, code: RejectionCode, reason: str, pointer: str = "") -> None:
        super().__init__(reason)
        self.code = code
        self.pointer = pointer


def check_claim(request: StandingRequest, source: str, completion: Completion, *, executor: str) -> None:
    """Refuse an event that its sender, its request or its days give the lie.

    Args:
        request: the request that it names, as it stands.
        source: who sent it, by its own word.
        completion: the event.
        executor: the one source that may report requests of this dataset.

    Raises:
        RefusedCompletionError: NOT_YOURS, UNKNOWN_REQUEST, ATTEMPT_UNKNOWN or DAY_OUTSIDE.
    """
    if source != executor:
        raise RefusedCompletionError(RejectionCode.NOT_YOURS, f"only {executor} may report this request")
    if completion.workid is not None and completion.workid != _work_id(request.asked):
        raise RefusedCompletionError(
            RejectionCode.UNKNOWN_REQUEST, "the request asks for other data than was worked on", "/workid"
        )
    try:
        counts(request.version, completion.attempt)
    except NeverStartedError as error:
        raise RefusedCompletionError(RejectionCode.ATTEMPT_UNKNOWN, str(error), "/attempt") from error
    day, pointer = _day(completion)
    days = request.asked.days
    if day is not None and not days.first <= day <= days.last:
        raise RefusedCompletionError(RejectionCode.DAY_OUTSIDE, f"{day} is no day of the request", pointer)


def place_of(asked: DatasetRequest, attempt: int) -> WorkPlace:
    """Return the place where the aggregator writes what it makes of an attempt at a request."""
    return work_place(
        asked.request_id,
        attempt,
        dataset=asked.dataset,
        resource=asked.resource,
        first=asked.days.first,
        last=asked.days.last,
        tags=asked.tags,
    )


def reported_version(completion: Completion) -> StateVersion:
    """Return the version of the state that an event reports."""
    match completion:
        case Progress():
            return StateVersion(completion.attempt, State.INPROGRESS)
        case Completed():
            return StateVersion(completion.attempt, State.COMPLETE)
        case Failed():
            return StateVersion.of(completion.attempt, State.FAILED, completion.error.model_dump(mode="json"))


def _work_id(asked: DatasetRequest) -> str:
    return work_id(asked.dataset, asked.resource, asked.days.first, asked.days.last, asked.tags)


def _day(completion: Completion) -> tuple[date | None, str]:
    """Return the day that an event speaks of, and where it says so."""
    if isinstance(completion, Progress) and completion.day is not None:
        return completion.day.day, "/day/day"
    if isinstance(completion, Failed):
        return completion.error.day, "/error/day"
    return None, ""
