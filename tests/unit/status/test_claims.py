"""The rules by which a completion event counts, without any store."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from uuid import UUID

import pytest

from exhaust.domain.days import DayRange
from exhaust.domain.failures import RequestFailure
from exhaust.domain.object_keys import work_id, work_place
from exhaust.domain.requests import DatasetRequest
from exhaust.domain.state_machine import State, StateVersion
from exhaust.errors import ErrorCode
from exhaust.postgres.request_progress import StandingRequest
from schemas.events import Completed, Failed, Failure, FinishedArchive, FinishedDay, Progress
from services.status.claims import Completion, RefusedCompletionError, check_claim, place_of, reported_version

EXECUTOR = "/telemetry-exhaust/aggregator"
FIRST, LAST = date(2026, 11, 1), date(2026, 11, 3)
REQUEST = UUID("7d0b1c57-3c52-4a2c-8f0a-5f0c4f6f6c11")
ASKED = DatasetRequest(REQUEST, "D001", "r", DayRange(FIRST, LAST), ("a", "b"))
STANDING = StandingRequest(ASKED, 2, State.INPROGRESS, None, None)
WORK = work_id("D001", "r", FIRST, LAST, ("a", "b"))
ARCHIVE = FinishedArchive(key="requests/x", size=1, digest="0" * 64, events=1, bytes=1)


def progress(day: date | None = None, attempt: int = 2, work: str | None = WORK) -> Progress:
    told = day and FinishedDay(day=day, state="ok", events=1, bytes=1, unreadable=0, reused=False)
    return Progress(requestid=REQUEST, attempt=attempt, workid=work, daystotal=3, day=told)


def completed(attempt: int = 2, work: str | None = WORK) -> Completed:
    return Completed(requestid=REQUEST, attempt=attempt, workid=work, archive=ARCHIVE)


def failed(day: date | None = None, attempt: int = 2, work: str | None = WORK) -> Failed:
    return Failed(
        requestid=REQUEST, attempt=attempt, workid=work, error=Failure(code="LIMIT_EXCEEDED", message="x", day=day)
    )


def refusal(completion: Completion, source: str = EXECUTOR) -> tuple[str, str]:
    """The code and the wrong place of a refusal; empty texts when the event counts."""
    try:
        check_claim(STANDING, source, completion, executor=EXECUTOR)
    except RefusedCompletionError as refused:
        return refused.code, refused.pointer
    return "", ""


@pytest.mark.parametrize(
    "completion",
    [
        *(progress(), progress(FIRST), progress(LAST), progress(FIRST, attempt=1), progress(work=None)),
        *(completed(), completed(attempt=1), completed(work=None)),
        *(failed(), failed(FIRST), failed(LAST), failed(attempt=1), failed(work=None)),
    ],
)
def test_what_the_executor_says_of_the_request_counts(completion: Completion) -> None:
    assert refusal(completion) == ("", "")


@pytest.mark.parametrize("completion", [progress(), completed(), failed()])
@pytest.mark.parametrize("source", ["", "/a", "/zzz", EXECUTOR + "/"])
def test_nobody_but_the_executor_reports(completion: Completion, source: str) -> None:
    assert refusal(completion, source) == ("NOT_YOURS", "")


@pytest.mark.parametrize("work", ["0" * 16, "f" * 16])
def test_a_report_of_work_on_other_data_is_refused(work: str) -> None:
    for completion in (progress(work=work), completed(work=work), failed(work=work)):
        assert refusal(completion) == ("UNKNOWN_REQUEST", "/workid")


def test_an_attempt_that_was_never_started_is_refused() -> None:
    for completion in (progress(attempt=3), completed(attempt=3), failed(attempt=3)):
        assert refusal(completion) == ("ATTEMPT_UNKNOWN", "/attempt")


@pytest.mark.parametrize("day", [FIRST - timedelta(days=1), LAST + timedelta(days=1), date.min, date.max])
def test_a_day_that_was_not_asked_for_is_refused(day: date) -> None:
    assert refusal(progress(day)) == ("DAY_OUTSIDE", "/day/day")
    assert refusal(failed(day)) == ("DAY_OUTSIDE", "/error/day")


def test_each_event_reports_its_state() -> None:
    assert reported_version(progress(FIRST)) == StateVersion(2, State.INPROGRESS)
    assert reported_version(completed(1)) == StateVersion(1, State.COMPLETE)
    failure = RequestFailure(ErrorCode.LIMIT_EXCEEDED, LAST)
    assert reported_version(failed(LAST)) == StateVersion(2, State.FAILED, failure)


def test_the_place_of_an_attempt_is_that_of_what_was_asked() -> None:
    expected = work_place(REQUEST, 2, dataset="D001", resource="r", first=FIRST, last=LAST, tags=("a", "b"))
    assert place_of(ASKED, 2) == expected
    others = [replace(ASKED, resource="s"), replace(ASKED, tags=("a",)), replace(ASKED, days=DayRange(FIRST, FIRST))]
    assert all(place_of(other, 2) != expected for other in others)
