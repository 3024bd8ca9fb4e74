from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exhaust.domain.failures import RequestFailure
from exhaust.errors import FAILURE_SENTENCES, ErrorCode

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
ANYTHING = SCALARS | st.lists(SCALARS) | st.dictionaries(st.text(), SCALARS)


@pytest.mark.parametrize("code", FAILURE_SENTENCES)
def test_partners_read_our_sentence_for_a_code(code: ErrorCode) -> None:
    told = RequestFailure.of({"code": str(code), "message": "zlib", "object": "raw/x", "day": "2026-01-02"}).to_json()
    assert told == {
        "code": code,
        "message": FAILURE_SENTENCES[code],
        "retryable": code in {"SERVICE_UNAVAILABLE", "SOURCE_OBJECT_CHANGED", "NO_PROGRESS"},
        "help": f"/help#{code}",
        "day": "2026-01-02",
    }


@given(ANYTHING | st.dictionaries(st.sampled_from(["code", "message", "day", "object", "x"]), ANYTHING))
def test_whatever_was_stored_is_told_in_our_words(outcome: object) -> None:
    told = RequestFailure.of(outcome).to_json()
    assert told["message"] in FAILURE_SENTENCES.values()
    assert set(told) <= {"code", "message", "retryable", "help", "day"}
    assert date.fromisoformat(str(told.get("day", "2026-01-01"))) <= date.max


def test_an_unknown_code_is_a_fault_of_ours() -> None:
    for code in ("CANARY", "LOGIN_FAILED", "", None, 7):
        assert RequestFailure.of({"code": code}).code is ErrorCode.INTERNAL_ERROR


def test_of_one_day_the_code_that_stands_first_is_shown_and_the_earliest_day_before_all() -> None:
    days = [date.min, date(2026, 1, 1), date(2026, 1, 2), date.max]
    expected = [RequestFailure(code, day) for day in days for code in FAILURE_SENTENCES]
    shuffled = [expected[place] for place in (*range(1, len(expected), 2), *range(0, len(expected), 2))]
    assert sorted(shuffled, key=lambda failure: failure.order, reverse=True) == expected
    assert len({failure.order for failure in expected}) == len(expected)
    # What fails a whole request says less than what fails a day of it.
    assert all(RequestFailure(code).order == RequestFailure(code, date.max).order for code in FAILURE_SENTENCES)
