import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exhaust.errors import ErrorCode, ExhaustError
from exhaust.http.envelope import (
    Operation,
    RequestEnvelope,
    check_envelope,
    decode_body,
    failure,
    message_id,
    required,
    success,
)

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


def parse_envelope(body: bytes, content_type: str) -> RequestEnvelope:
    return check_envelope(decode_body(body, content_type))


def parse(value: object) -> None:
    parse_envelope(json.dumps(value).encode(), "application/json")


@pytest.mark.parametrize("name", ["licenseKey", "licensekey"])
def test_both_spellings_of_the_license_key_are_read(name: str) -> None:
    body = json.dumps({"id": "anything", "more": 1, "request": {name: "k", "extra": []}}).encode()
    assert parse_envelope(body, "application/json").request.license_key == "k"


def test_the_message_id_is_read_whatever_the_rest_is() -> None:
    assert message_id({"params": {"msgid": "m-1", "key": 5}, "request": 7}) == "m-1"


@given(JSON_VALUES)
def test_a_message_id_is_always_text(value: object) -> None:
    assert isinstance(message_id(value), str)
    assert isinstance(message_id({"params": value}), str)


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"", "application/json", 400),
        (b"{", "application/json", 400),
        (b"[]", "application/json", 400),
        (b"null", "application/json", 400),
        (b'{"request": {"licenseKey": NaN}}', "application/json", 400),
        (b'{"request": {"licenseKey": 5}}', "application/json", 400),
        (b'{"request": []}', "application/json", 400),
        (b'{"params": {"msgid": 1}, "request": {}}', "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b"[" * 50_000, "application/json", 400),
        (b"{}", "application/x-www-form-urlencoded", 415),
        (b"{}", "text/plain", 415),
    ],
)
def test_bodies_that_are_refused(body: bytes, content_type: str, status: int) -> None:
    with pytest.raises(ExhaustError) as refused:
        parse_envelope(body, content_type)
    assert (refused.value.code, refused.value.status) == (ErrorCode.INVALID_DATA_ERROR, status)


def test_every_violation_is_named_at_once_and_no_value_is_shown() -> None:
    with pytest.raises(ExhaustError) as refused:
        parse({"request": {"licenseKey": 981273, "partnerid": [], "username": {}}})
    for place in ("licenseKey", "partnerid", "username"):
        assert place in refused.value.message
    assert "981273" not in refused.value.message


@given(JSON_VALUES)
def test_any_json_is_read_or_refused(value: object) -> None:
    try:
        parse(value)
    except ExhaustError as error:
        assert error.code is ErrorCode.INVALID_DATA_ERROR


@pytest.mark.parametrize("value", [None, "", "  "])
def test_absent_null_and_blank_are_the_same(value: str | None) -> None:
    with pytest.raises(ExhaustError) as refused:
        required(value, ErrorCode.MISSING_PARTNERID, "partnerid")
    assert refused.value.code is ErrorCode.MISSING_PARTNERID


@pytest.mark.parametrize("value", ["a\0b", "a\ud800b"])
def test_text_that_no_store_can_keep_is_refused(value: str) -> None:
    with pytest.raises(ExhaustError) as refused:
        required(value, ErrorCode.MISSING_PARTNERID, "partnerid")
    assert refused.value.code is ErrorCode.INVALID_DATA_ERROR


def test_answers_have_the_documented_form() -> None:
    operation = Operation("ekstep.data_exhaust_client", "1.0")
    good = json.loads(success(operation, "m", {"licenseKey": "k"}))
    assert good["result"] == {"licenseKey": "k"}
    assert good["params"] | {"resmsgid": ""} == {
        "resmsgid": "",
        "msgid": "m",
        "status": "successful",
        "err": "",
        "errmsg": "",
    }
    bad = json.loads(failure(operation, "m", ExhaustError(ErrorCode.LOGIN_FAILED, "no")))
    assert "result" not in bad
    assert (bad["params"]["status"], bad["params"]["err"], bad["params"]["errmsg"]) == ("failed", "LOGIN_FAILED", "no")
    assert good["params"]["resmsgid"] != bad["params"]["resmsgid"]
