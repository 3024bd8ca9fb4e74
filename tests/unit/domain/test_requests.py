from datetime import date
from functools import reduce
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exhaust.domain.failures import RequestFailure
from exhaust.domain.requests import State, StateVersion, parse_request_id, parse_resource, parse_tags
from exhaust.errors import FAILURE_SENTENCES, ErrorCode, ExhaustError

FAILURES = st.builds(
    RequestFailure, st.sampled_from(list(FAILURE_SENTENCES)), st.none() | st.dates(date(2026, 1, 1), date(2026, 1, 3))
)
VERSIONS = st.one_of(
    st.builds(StateVersion, st.integers(1, 3), st.sampled_from([State.SUBMITTED, State.INPROGRESS, State.COMPLETE])),
    st.builds(StateVersion, st.integers(1, 3), st.just(State.FAILED), FAILURES),
)


def moved(present: StateVersion, reported: StateVersion) -> StateVersion:
    return reported if reported.supersedes(present) else present


def arrive(versions: list[StateVersion]) -> StateVersion:
    return reduce(moved, versions, StateVersion(1, State.SUBMITTED))


@given(st.lists(VERSIONS, max_size=8), st.randoms(use_true_random=False), st.integers(min_value=1, max_value=3))
def test_any_order_and_repetition_of_the_same_reports_ends_alike(
    reports: list[StateVersion], random: Random, copies: int
) -> None:
    shuffled = reports * copies
    random.shuffle(shuffled)
    assert arrive(shuffled) == arrive(reports)


@given(VERSIONS, VERSIONS)
def test_a_terminal_state_stays_within_its_attempt(current: StateVersion, reported: StateVersion) -> None:
    after = moved(current, reported)
    if current.state.is_terminal and reported.attempt <= current.attempt:
        assert after.state.is_terminal
    assert after.attempt >= current.attempt


def test_a_download_outranks_a_failure_and_the_earliest_day_tells_why() -> None:
    complete = StateVersion(1, State.COMPLETE)
    days = [date(2026, 1, 2), date(2026, 1, 1), None]
    failures = [
        StateVersion(1, State.FAILED, RequestFailure(code, day))
        for code in (ErrorCode.INTERNAL_ERROR, ErrorCode.SOURCE_OBJECT_UNREADABLE)
        for day in days
    ]
    shown = RequestFailure(ErrorCode.SOURCE_OBJECT_UNREADABLE, date(2026, 1, 1))
    assert arrive(failures) == arrive(failures[::-1]) == StateVersion(1, State.FAILED, shown)
    assert arrive([*failures, complete]) == arrive([complete, *failures]) == complete
    assert not complete.supersedes(complete)


def test_a_new_attempt_reopens_a_failed_request() -> None:
    assert arrive([StateVersion(1, State.FAILED), StateVersion(2, State.INPROGRESS)]) == StateVersion(
        2, State.INPROGRESS
    )


def test_the_wire_has_three_states() -> None:
    assert {state.wire for state in State} == {"inprogress", "complete", "failed"}


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("fd001eaba2e5b79b814446307d709ee2", "fd001eaba2e5b79b814446307d709ee2"),
        ("FD001EABA2E5B79B814446307D709EE2", "fd001eaba2e5b79b814446307d709ee2"),
        ("9912345-4b0d-420b-a00c-7c2a2a9e77e8", "9912345-4b0d-420b-a00c-7c2a2a9e77e8"),
        ("in.ekstep", "in.ekstep"),
    ],
)
def test_resource_ids_have_a_canonical_form(written: str, canonical: str) -> None:
    assert parse_resource(written) == canonical


@pytest.mark.parametrize("written", ["", "a" * 129, "a/b", "a b", "ü", "a\n", "a%2e"])
def test_odd_resource_ids_are_refused(written: str) -> None:
    with pytest.raises(ExhaustError) as refused:
        parse_resource(written)
    assert refused.value.code is ErrorCode.INVALID_DATA_ERROR


def test_tags_are_a_set() -> None:
    assert parse_tags(["b", "a", "b"]) == ("a", "b")


@pytest.mark.parametrize("tags", [[""], ["x" * 65], [str(number) for number in range(21)], ["a\0b"], ["a\ud800"]])
def test_tags_have_limits(tags: list[str]) -> None:
    with pytest.raises(ExhaustError) as refused:
        parse_tags(tags)
    assert refused.value.code is ErrorCode.INVALID_DATA_ERROR


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ghf03e54-89b4-312b-dbff-eb90ue5460fa",
        "{7d0b1c57-3c52-4a2c-8f0a-5f0c4f6f6c11}",
        "7d0b1c573c524a2c8f0a5f0c4f6f6c11",
        "../../etc/passwd",
    ],
)
def test_a_malformed_request_id_is_an_unknown_one(text: str) -> None:
    with pytest.raises(ExhaustError) as refused:
        parse_request_id(text)
    assert (refused.value.code, refused.value.status) == (ErrorCode.INVALID_REQUESTID, 404)
