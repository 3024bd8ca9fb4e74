import json
from collections.abc import Callable
from typing import Any

import pytest

from exhaust.tokens.keys import KeySet, UnusableKeyError, parse_jwks
from tests.integration.gateway_tokens.token_factory import Signer, TokenFactory, jwks, new_signer


def document(*members: object) -> bytes:
    return json.dumps({"keys": members}).encode()


def test_a_key_is_found_by_key_id_and_algorithm(factory: TokenFactory) -> None:
    keys = parse_jwks(jwks(*(factory.signers[name] for name in ("RS256", "ES256", "EdDSA"))))
    for name in ("RS256", "ES256", "EdDSA"):
        key = keys.find(f"{name}-1", name)
        assert key is not None
        assert key.algorithm == name
    assert keys.find("RS256-1", "ES256") is None
    assert keys.find("unknown", "RS256") is None
    assert keys.algorithms == {"RS256", "ES256", "EdDSA"}


def test_a_token_without_a_key_id_needs_exactly_one_key_of_its_algorithm(factory: TokenFactory) -> None:
    ed = factory.signers["EdDSA"]
    one = parse_jwks(jwks(ed, factory.signers["ES256"]))
    assert one.find("", "EdDSA") == one.find(ed.kid, "EdDSA")
    two = parse_jwks(jwks(ed, new_signer("EdDSA", "EdDSA-2")))
    assert two.find("", "EdDSA") is None
    unnamed = parse_jwks(jwks(Signer("EdDSA", ed.private)))
    assert unnamed.find("", "EdDSA") is not None
    assert unnamed.find(ed.kid, "EdDSA") is None


def test_two_keys_of_different_algorithms_may_share_a_key_id(factory: TokenFactory) -> None:
    first, second = (Signer(name, factory.signers[name].private, "same") for name in ("ES256", "EdDSA"))
    keys = parse_jwks(jwks(first, second))
    assert keys.find("same", "ES256") != keys.find("same", "EdDSA")


def test_an_empty_set_has_no_key() -> None:
    assert KeySet().find("", "EdDSA") is None
    assert KeySet().find("a", "EdDSA") is None


UNUSABLE: dict[str, Callable[[dict[str, Any]], object]] = {
    "no object": lambda _: "key",
    "no type": lambda jwk: jwk | {"kty": None},
    "an unknown type": lambda jwk: jwk | {"kty": "XYZ"},
    "a secret without its bytes": lambda _: {"kty": "oct"},
    "a secret": lambda _: {"kty": "oct", "k": "c2VjcmV0" * 8},
    "another type's members": lambda jwk: jwk | {"kty": "RSA"},
    "a missing member": lambda jwk: {name: value for name, value in jwk.items() if name != "x"},
    "a member of another type": lambda jwk: jwk | {"x": 7},
    "a short member": lambda jwk: jwk | {"x": "AAAA"},
    "a curve without its point": lambda _: {"kty": "EC", "crv": "P-256"},
    "a curve of another algorithm": lambda _: {"kty": "EC", "crv": "secp256k1", "x": "A" * 43, "y": "A" * 43},
    "another curve": lambda jwk: jwk | {"crv": "Ed448"},
    "an unknown curve": lambda jwk: jwk | {"crv": ["Ed25519"]},
    "for encryption": lambda jwk: jwk | {"use": "enc"},
    "for signing": lambda jwk: jwk | {"key_ops": ["sign"]},
    "operations that are no list": lambda jwk: jwk | {"key_ops": "verify"},
    "another algorithm": lambda jwk: jwk | {"alg": "ES256"},
    "no algorithm": lambda jwk: jwk | {"alg": "none"},
    "a list of algorithms": lambda jwk: jwk | {"alg": ["EdDSA"]},
    "a private member": lambda jwk: jwk | {"d": "AAAA"},
    "an empty id": lambda jwk: jwk | {"kid": ""},
    "a long id": lambda jwk: jwk | {"kid": "k" * 129},
    "an id that is a number": lambda jwk: jwk | {"kid": 7},
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_an_unusable_key_is_ignored_beside_a_usable_one_and_refused_alone(name: str, factory: TokenFactory) -> None:
    member = UNUSABLE[name](factory.signers["EdDSA"].jwk)
    with pytest.raises(UnusableKeyError, match=r"there is no usable key \(key 1: "):
        parse_jwks(document(member))
    assert parse_jwks(document(member, factory.signers["ES256"].jwk)).algorithms == {"ES256"}


def test_the_error_shows_no_secret_member(factory: TokenFactory) -> None:
    with pytest.raises(UnusableKeyError) as refused:
        parse_jwks(document(factory.signers["EdDSA"].jwk | {"d": "canary"}, {"kty": "oct", "k": "canary"}))
    assert "canary" not in str(refused.value)


@pytest.mark.parametrize(
    ("raw", "complaint"),
    [
        (b"", "not JSON"),
        (b"<html>", "not JSON"),
        (b'{"keys": [], "keys": []}', "not JSON with distinct names"),
        (b"[" * 5000, "not JSON"),
        (b"\xff", "not JSON"),
        (b"[]", "not a JWKS"),
        (b'{"keys": {}}', "not a JWKS"),
        (b'{"keys": []}', "the set is empty"),
        (document(*[{}] * 51), "at most 50 keys"),
        (b" " * 262_145, "at most 262144 bytes"),
    ],
)
def test_a_document_other_than_a_jwks_is_refused(raw: bytes, complaint: str) -> None:
    with pytest.raises(UnusableKeyError, match=complaint):
        parse_jwks(raw)


def test_two_keys_of_the_same_key_id_are_refused(factory: TokenFactory) -> None:
    ed = factory.signers["EdDSA"]
    with pytest.raises(UnusableKeyError, match="two keys have the same kid"):
        parse_jwks(jwks(ed, new_signer("EdDSA", ed.kid)))
