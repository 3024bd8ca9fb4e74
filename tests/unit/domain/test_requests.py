import pytest

from exhaust.domain.requests import (
    MAX_TAG_LENGTH,
    MAX_TAGS,
    Submitter,
    parse_request_id,
    parse_resource,
    parse_tags,
    partner_resource,
)
from exhaust.errors import ErrorCode, ExhaustError
from telemetry.resource_ids import resource_id


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("fd001eaba2e5b79b814446307d709ee2", "fd001eaba2e5b79b814446307d709ee2"),
        ("FD001EABA2E5B79B814446307D709EE2", "fd001eaba2e5b79b814446307d709ee2"),
        ("9912345-4b0d-420b-a00c-7c2a2a9e77e8", "9912345-4b0d-420b-a00c-7c2a2a9e77e8"),
        ("in.ekstep", "in.ekstep"),
        ("a" * 128, "a" * 128),
        (".a", ".a"),
    ],
)
def test_resource_ids_have_a_canonical_form(written: str, canonical: str) -> None:
    assert parse_resource(written) == canonical


@pytest.mark.parametrize("written", ["", "a" * 129, ".", "..", "...", "a/b", "a b", "ü", "a\n", "a%2e"])
def test_odd_resource_ids_are_refused(written: str) -> None:
    with pytest.raises(ExhaustError) as refused:
        parse_resource(written)
    assert refused.value.code is ErrorCode.INVALID_DATA_ERROR


def test_tags_are_a_set() -> None:
    assert parse_tags(["b", "a", "b"]) == ("a", "b")
    assert parse_tags([]) == ()


def test_as_many_and_as_long_tags_as_the_limits_are_allowed() -> None:
    assert (MAX_TAGS, MAX_TAG_LENGTH) == (20, 64)  # what the API document says
    tags = tuple(f"{number:064}" for number in range(20))
    assert parse_tags([*tags, *tags]) == tags
    assert parse_tags(["x"]) == ("x",)


@pytest.mark.parametrize("tags", [[""], ["x" * 65], [str(number) for number in range(21)], ["a\0b"], ["a\ud800"]])
def test_tags_have_limits(tags: list[str]) -> None:
    with pytest.raises(ExhaustError) as refused:
        parse_tags(tags)
    assert refused.value.code is ErrorCode.INVALID_DATA_ERROR


def test_a_request_id_is_read_as_it_is_written() -> None:
    text = "7d0b1c57-3c52-4a2c-8f0a-5f0c4f6f6c11"
    assert str(parse_request_id(text)) == text


@pytest.mark.parametrize("named", ["zz", "org.example.partner", "0"])
def test_a_partner_is_its_resource_however_it_is_named(named: str) -> None:
    resource = resource_id(named)
    assert partner_resource(named, resource) == resource
    assert partner_resource(named, "another") == resource
    assert partner_resource(resource, resource) == resource
    # The plain id of a partner is never taken for a resource, however the two sort.
    assert {partner_resource(named, other) for other in ("", "a", "zzz")} == {resource}


def test_nobody_holds_the_line_unless_it_is_said() -> None:
    assert not Submitter(7, "maple", "asha").synchronous


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
