"""What a refusal tells of the way to a good call, and that it is the same for foreign and unknown ids."""

import pytest

from exhaust.domain.catalogue import load_catalogue
from exhaust.errors import ErrorCode
from services.gateway.auth.hints import no_access, not_for_partner

CATALOGUE = load_catalogue(None)
EKSTEP = "4208ab995984d222b59299e5103d350a"  # the documents' test vector


def test_a_plain_id_is_answered_with_its_hash() -> None:
    refusal = no_access(CATALOGUE, "eks-consumption-raw", "org.ekstep")
    assert refusal.code is ErrorCode.AUTHORIZATION_FAILED
    assert refusal.message.endswith(f"did you mean {EKSTEP}, the resource id of what was given?")


def test_two_hashes_are_answered_alike() -> None:
    answers = {no_access(CATALOGUE, "eks-consumption-raw", text).message for text in (EKSTEP, "0" * 32)}
    assert len(answers) == 1
    assert "did you mean" not in answers.pop()


@pytest.mark.parametrize("name", ["eks-consumption-rw", "EKS-CONSUMPTION-RAW", "eks_consumption_raw"])
def test_a_misspelt_dataset_is_answered_with_the_nearest(name: str) -> None:
    assert "did you mean eks-consumption-raw" in no_access(CATALOGUE, name, EKSTEP).message


@pytest.mark.parametrize("name", ["", "\0", "x" * 10_000, "nothing like it"])
def test_any_other_dataset_is_not_repeated(name: str) -> None:
    message = no_access(CATALOGUE, name, EKSTEP).message
    assert message.endswith("there is no such dataset; GET /v2/me lists them")


def test_a_hash_for_a_partner_is_answered_with_what_is_wanted() -> None:
    assert "plain id" in not_for_partner(EKSTEP).message
    assert "plain id" not in not_for_partner("org.ekstep").message
    request_id = "0b0f6f0e-6a3c-4d5a-9f0b-3f1c2d4e5a6b"
    assert "/v2/datasets/requests/status/{requestid}" in not_for_partner(request_id).message
    assert "status" not in not_for_partner("org.ekstep").message


def test_what_a_caller_wrote_is_not_repeated() -> None:
    """It may be a license key, which has the form of a request id."""
    license_key = "5b1f9d0e-6a3c-4d5a-9f0b-3f1c2d4e5a6b"
    assert license_key not in no_access(CATALOGUE, license_key, license_key).message
    assert license_key not in not_for_partner(license_key).message
