import pytest

from exhaust.domain.requests import parse_request_id, parse_resource, parse_tags
from exhaust.errors import ErrorCode, ExhaustError


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
