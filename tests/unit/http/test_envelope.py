import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exhaust.errors import ErrorCode, ExhaustError
from exhaust.http.envelope import (
    envelope_of,
    failure,
    message_id,
    parse_request,
    require_text,
    success,
)
from exhaust.http.request import decode_body
from schemas.bodies import Body, KeyBody, OptionalNumber, ShortText, WholeNumber
from schemas.operations import Operation

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


class AllBody(KeyBody):
    partnerid: ShortText = None
    username: ShortText = None
    number: OptionalNumber = None


class NumberBody(Body):
    number: WholeNumber


ALL = envelope_of(AllBody)


def parse_body(body: bytes, content_type: str) -> AllBody:
    return parse_request(decode_body(body, content_type), ALL)


def parse(value: object) -> None:
    parse_body(json.dumps(value).encode(), "application/json")


@pytest.mark.parametrize("name", ["licenseKey", "licensekey"])
def test_both_spellings_of_the_license_key_are_read(name: str) -> None:
    body = json.dumps({"id": "anything", "more": 1, "request": {name: "k", "extra": []}}).encode()
    assert parse_body(body, "application/json").license_key == "k"


def test_the_message_id_is_read_from_an_invalid_body_too() -> None:
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
def test_an_invalid_body_is_refused(body: bytes, content_type: str, status: int) -> None:
    with pytest.raises(ExhaustError) as refused:
        parse_body(body, content_type)
    assert (refused.value.code, refused.value.status) == (ErrorCode.INVALID_DATA_ERROR, status)


def test_every_violation_is_named_at_once_and_no_value_is_shown() -> None:
    with pytest.raises(ExhaustError) as refused:
        parse({"request": {"licenseKey": 981273, "partnerid": [], "username": {}}})
    for place in ("licenseKey", "partnerid", "username"):
        assert place in refused.value.message
    assert "981273" not in refused.value.message


@pytest.mark.parametrize(
    ("body", "place", "what"),
    [
        (None, "the body", "Input should be a valid dictionary"),
        ([], "the body", "Input should be a valid dictionary"),
        ({"request": None}, "request", "Input should be a valid dictionary"),
        ({"params": 1}, "params", "Input should be a valid dictionary"),
        ({"request": {"partnerid": "x" * 257}}, "request/partnerid", "String should have at most 256 characters"),
        ({"request": {"number": 2.5}}, "request/number", "Input should be a valid integer"),
    ],
)
def test_a_violation_names_its_place_and_no_class_of_ours(body: object, place: str, what: str) -> None:
    with pytest.raises(ExhaustError) as refused:
        parse(body)
    assert refused.value.message == f"{place}: {what}"
    assert refused.value.violations == (("" if place == "the body" else f"/{place}", what),)


def test_a_mandatory_field_is_required_with_and_without_request() -> None:
    envelope = envelope_of(NumberBody)
    bodies: list[object] = [{}, {"request": {}}]
    for body in bodies:
        with pytest.raises(ExhaustError) as refused:
            parse_request(body, envelope)
        assert refused.value.violations == (("/request/number", "Field required"),)


@pytest.mark.parametrize("written", ["2", "2.0", "2e0"])
def test_every_notation_of_a_whole_number_is_read(written: str) -> None:
    body = decode_body(f'{{"request": {{"number": {written}}}}}'.encode(), "")
    assert parse_request(body, envelope_of(NumberBody)).number == 2


@given(JSON_VALUES)
def test_any_json_is_read_or_refused_with_invalid_data_error(value: object) -> None:
    try:
        parse(value)
    except ExhaustError as error:
        assert error.code is ErrorCode.INVALID_DATA_ERROR


@pytest.mark.parametrize("value", [None, "", "  "])
def test_an_absent_null_or_blank_text_is_missing(value: str | None) -> None:
    with pytest.raises(ExhaustError) as refused:
        require_text(value, ErrorCode.MISSING_PARTNERID, "partnerid")
    assert refused.value.code is ErrorCode.MISSING_PARTNERID


@pytest.mark.parametrize("value", ["a\0b", "a\ud800b"])
def test_text_that_cannot_be_stored_is_refused(value: str) -> None:
    with pytest.raises(ExhaustError) as refused:
        require_text(value, ErrorCode.MISSING_PARTNERID, "partnerid")
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
    assert (bad["params"]["retryable"], bad["params"]["help"]) == (False, "/help#LOGIN_FAILED")
    assert good["params"]["resmsgid"] != bad["params"]["resmsgid"]
