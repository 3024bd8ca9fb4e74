import hashlib

import pytest

from telemetry.resource_ids import canonical_resource_id, resource_id

PRATHAM = "fd001eaba2e5b79b814446307d709ee2"


@pytest.mark.parametrize(
    ("owner", "expected"),
    [
        ("org.ekstep", "4208ab995984d222b59299e5103d350a"),
        ("org.ekstep.partner.pratham", PRATHAM),
        ("org.ekstep.partner.p3", "0474e1c817c08564614cd4ddebdd31b2"),
        ("", "da39a3ee5e6b4b0d3255bfef95601890"),
    ],
)
def test_a_resource_id_is_the_start_of_the_sha_1(owner: str, expected: str) -> None:
    assert resource_id(owner) == expected


def test_ids_are_hashed_in_utf_8_with_their_case() -> None:
    assert resource_id("école") == "cd843a96bfed25583f937b3b2c911f33"
    assert resource_id("ORG.EKSTEP") != resource_id("org.ekstep")


def test_half_of_a_surrogate_pair_is_hashed_too() -> None:
    assert len({resource_id("\ud800"), resource_id("\udfff"), resource_id("?")}) == 3


def test_a_very_long_id_is_hashed_the_same_every_time() -> None:
    assert resource_id("x" * 100_000) == resource_id("x" * 100_000) != resource_id("x" * 100_001)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (PRATHAM, PRATHAM),
        (PRATHAM.upper(), PRATHAM),
        (PRATHAM + "01234567", PRATHAM),
        (PRATHAM.upper() + "ABCDEF01", PRATHAM),
        ("474e1c817c08564614cd4ddebdd31b2" + "01234567", "0474e1c817c08564614cd4ddebdd31b2"),
        ("7" * 33, "0000000" + "7" * 25),
        ("0" * 32, "0" * 32),
    ],
    ids=["short", "short upper", "full", "full upper", "full without its zero", "seven zeros lost", "32 digits stay"],
)
def test_every_form_of_a_hash_has_one_canonical_form(text: str, expected: str) -> None:
    assert canonical_resource_id(text) == expected


@pytest.mark.parametrize(
    "text", ["", "in.ekstep", "A" * 31, "A" * 41, "G" * 32, PRATHAM + "\n", " " + PRATHAM, "\u0661" * 32, "\uff21" * 32]
)
def test_anything_else_is_opaque(text: str) -> None:
    assert canonical_resource_id(text) == text


def test_all_forms_of_one_hash_agree() -> None:
    # Six hundred hashes hold some forty that begin with a zero, and two or three that begin with two.
    for number in range(600):
        owner = f"org.example.partner.p{number}"
        full = hashlib.sha1(owner.encode(), usedforsecurity=False).hexdigest()
        for form in (full, full.upper(), full.lstrip("0"), full[:32]):
            assert canonical_resource_id(form) == resource_id(owner)
