"""The states of a request: any order of the same events, true and forged, ends alike."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import reduce
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exhaust.domain.failures import RequestFailure
from exhaust.domain.state_machine import (
    MAX_ATTEMPTS,
    REPORTABLE,
    NeverStartedError,
    State,
    StateVersion,
    after_cancel,
    after_report,
    after_retry,
    after_silence,
    after_update,
    counts,
)
from exhaust.errors import FAILURE_SENTENCES, ErrorCode, ExhaustError

LAST_ATTEMPT = 3  # of the reaper
NEW = StateVersion(1, State.SUBMITTED)
FAILURES = st.builds(
    RequestFailure, st.sampled_from(list(FAILURE_SENTENCES)), st.none() | st.dates(date(2026, 1, 1), date(2026, 1, 3))
)
REPORTS = st.one_of(
    st.builds(StateVersion, st.integers(1, 4), st.sampled_from([State.INPROGRESS, State.COMPLETE])),
    st.builds(StateVersion, st.integers(1, 4), st.just(State.FAILED), FAILURES),
)
VERSIONS = st.one_of(
    st.builds(StateVersion, st.integers(1, 3), st.sampled_from([each for each in State if each is not State.FAILED])),
    st.builds(StateVersion, st.integers(1, 3), st.just(State.FAILED), FAILURES),
)


def silence(present: StateVersion) -> StateVersion:
    """What the reaper does with a request when it finds no progress."""
    return present if present.state.is_terminal else after_silence(present, max_attempts=LAST_ATTEMPT)[0]


COMMANDS: dict[str, Callable[[StateVersion], StateVersion]] = {
    "cancel": after_cancel,
    "retry": after_retry,
    "silence": silence,
}


@dataclass(frozen=True)
class Chapter:
    """Reports in some order, and then a command."""

    reports: list[StateVersion]
    command: str


CHAPTERS = st.lists(
    st.builds(Chapter, st.lists(REPORTS, max_size=5), st.sampled_from(sorted(COMMANDS))), min_size=1, max_size=4
)


def reported(present: StateVersion, report: StateVersion) -> StateVersion:
    """What a report makes of a request; one that is refused changes nothing."""
    try:
        return after_report(present, report)
    except NeverStartedError:
        return present


def commanded(present: StateVersion, command: str) -> StateVersion:
    try:
        return COMMANDS[command](present)
    except ExhaustError as refused:
        assert (refused.code, refused.status) == (ErrorCode.INVALID_DATA_ERROR, 409)
        return present


def told(chapters: Sequence[Chapter]) -> list[StateVersion]:
    """Where a request stands at the start, and after each chapter."""
    versions = [NEW]
    for chapter in chapters:
        versions.append(commanded(reduce(reported, chapter.reports, versions[-1]), chapter.command))
    return versions


@given(CHAPTERS, st.randoms(use_true_random=False), st.integers(1, 3))
def test_any_order_and_repetition_of_the_same_events_ends_alike(
    chapters: list[Chapter], random: Random, copies: int
) -> None:
    """Cancels, retries and the reaper keep their places; reports come in any order, again, and again later."""
    versions = told(chapters)
    shuffled: list[Chapter] = []
    earlier: list[StateVersion] = []
    for chapter, before in zip(chapters, versions, strict=False):
        again = random.sample(earlier, random.randint(0, len(earlier)))
        reports = [*(chapter.reports * copies), *again]
        random.shuffle(reports)
        shuffled.append(Chapter(reports, chapter.command))
        # What is refused becomes a dead letter, and does not come again by itself.
        earlier += [report for report in chapter.reports if report.attempt <= before.attempt]
    assert told(shuffled) == versions


@given(CHAPTERS)
def test_a_version_only_grows_and_an_end_stays_within_its_attempt(chapters: list[Chapter]) -> None:
    versions = told(chapters)
    for before, after in pairwise(versions):
        assert after == before or after.supersedes(before)
        if before.state.is_terminal and after.attempt == before.attempt:
            assert after.state.is_terminal
        if before.state in {State.CANCELLED, State.COMPLETE} and after.attempt == before.attempt:
            assert after == before


@given(st.lists(REPORTS, max_size=5), st.integers(1, 3))
def test_nothing_changes_a_cancelled_attempt(late: list[StateVersion], attempt: int) -> None:
    cancelled = after_cancel(StateVersion(attempt, State.INPROGRESS))
    assert cancelled == StateVersion(attempt, State.CANCELLED)
    assert reduce(reported, late, cancelled) == cancelled
    assert after_update(cancelled, State.COMPLETE, {"key": "x"}) == cancelled
    assert after_cancel(cancelled) == cancelled
    assert not counts(cancelled, attempt)


@given(VERSIONS, VERSIONS)
def test_of_two_versions_one_is_greater_unless_they_are_equal(one: StateVersion, other: StateVersion) -> None:
    assert one.supersedes(other) is (one != other and not other.supersedes(one))
    if one.attempt == other.attempt and one.state is State.CANCELLED:
        assert not other.supersedes(one)


def test_a_download_outranks_a_failure_and_the_earliest_day_tells_why() -> None:
    complete = StateVersion(1, State.COMPLETE)
    days = [date(2026, 1, 2), date(2026, 1, 1), None]
    failures = [
        StateVersion(1, State.FAILED, RequestFailure(code, day))
        for code in (ErrorCode.INTERNAL_ERROR, ErrorCode.SOURCE_OBJECT_UNREADABLE)
        for day in days
    ]
    shown = StateVersion(1, State.FAILED, RequestFailure(ErrorCode.SOURCE_OBJECT_UNREADABLE, date(2026, 1, 1)))
    assert reduce(after_report, failures, NEW) == reduce(after_report, failures[::-1], NEW) == shown
    for order in ([*failures, complete], [complete, *failures]):
        assert reduce(after_report, order, NEW) == complete
    assert not complete.supersedes(complete)


def test_a_report_of_an_attempt_that_was_never_started_is_refused() -> None:
    with pytest.raises(NeverStartedError, match="attempt 2 was never started"):
        after_report(NEW, StateVersion(2, State.FAILED))
    assert counts(NEW, 1)
    assert not counts(StateVersion(2, State.SUBMITTED), 1)


def test_a_job_elsewhere_ends_an_attempt_once() -> None:
    error = {"code": "LIMIT_EXCEEDED"}
    failed = after_update(NEW, State.FAILED, error)
    assert failed == StateVersion(1, State.FAILED, RequestFailure(ErrorCode.LIMIT_EXCEEDED))
    assert after_update(failed, State.COMPLETE, {"key": "x"}) == failed
    assert after_update(NEW, State.INPROGRESS, None) == StateVersion(1, State.INPROGRESS)
    assert set(REPORTABLE) == {"inprogress", "complete", "failed"}
    assert REPORTABLE["failed"] is State.FAILED


def test_silence_starts_the_next_attempt_and_fails_the_last() -> None:
    assert after_silence(StateVersion(2, State.INPROGRESS), max_attempts=3) == (StateVersion(3, State.SUBMITTED), None)
    # Operators may have allowed more attempts before.
    assert after_silence(StateVersion(4, State.INPROGRESS), max_attempts=3)[0].state is State.FAILED
    version, error = after_silence(StateVersion(3, State.SUBMITTED), max_attempts=3)
    assert version == StateVersion(3, State.FAILED, RequestFailure(ErrorCode.NO_PROGRESS))
    assert error == {"code": "NO_PROGRESS", "message": "no progress in attempt 3, the last"}


@pytest.mark.parametrize("state", [State.COMPLETE, State.FAILED])
def test_what_has_ended_is_not_cancelled(state: State) -> None:
    with pytest.raises(ExhaustError, match=f"the request is {state} already") as refused:
        after_cancel(StateVersion(1, state))
    assert refused.value.status == 409


@pytest.mark.parametrize("state", [State.FAILED, State.CANCELLED])
def test_a_retry_starts_the_next_attempt(state: State) -> None:
    assert after_retry(StateVersion(MAX_ATTEMPTS - 1, state)) == StateVersion(MAX_ATTEMPTS, State.SUBMITTED)
    for attempt in (MAX_ATTEMPTS, MAX_ATTEMPTS + 1):
        with pytest.raises(ExhaustError, match="1000 attempts"):
            after_retry(StateVersion(attempt, state))


@pytest.mark.parametrize(
    ("state", "sentence"),
    [(State.COMPLETE, "is complete"), (State.SUBMITTED, "in progress"), (State.INPROGRESS, "in progress")],
)
def test_what_has_not_failed_is_not_retried(state: State, sentence: str) -> None:
    with pytest.raises(ExhaustError, match=sentence) as refused:
        after_retry(StateVersion(1, state))
    assert (refused.value.code, refused.value.status) == (ErrorCode.INVALID_DATA_ERROR, 409)


def test_the_wire_has_three_states() -> None:
    assert {state: state.wire for state in State} == {
        State.SUBMITTED: "inprogress",
        State.INPROGRESS: "inprogress",
        State.FAILED: "failed",
        State.COMPLETE: "complete",
        State.CANCELLED: "failed",
    }
