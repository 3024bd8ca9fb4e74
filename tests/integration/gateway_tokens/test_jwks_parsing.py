import json
from collections.abc import Callable
from typing import Any

import pytest

from services.gateway.auth.tokens.keys import KeySet, UnusableKeyError, parse_jwks
from tests.integration.gateway_tokens.forge import Signer, World, jwks, new_signer


def document(*members: object) -> bytes:
    return json.dumps({"keys": members}).encode()


def test_a_key_is_found_by_its_id_and_algorithm(world: World) -> None:
    keys = parse_jwks(jwks(*(world.signers[name] for name in ("RS256", "ES256", "EdDSA"))))
    for name in ("RS256", "ES256", "EdDSA"):
        key = keys.find(f"{name}-1", name)
        assert key is not None
        assert key.algorithm == name
    assert keys.find("RS256-1", "ES256") is None
    assert keys.find("unknown", "RS256") is None
    assert keys.algorithms == {"RS256", "ES256", "EdDSA"}


def test_without_an_id_the_algorithm_must_leave_one_choice(world: World) -> None:
    ed = world.signers["EdDSA"]
    one = parse_jwks(jwks(ed, world.signers["ES256"]))
    assert one.find("", "EdDSA") == one.find(ed.kid, "EdDSA")
    two = parse_jwks(jwks(ed, new_signer("EdDSA", "EdDSA-2")))
    assert two.find("", "EdDSA") is None
    unnamed = parse_jwks(jwks(Signer("EdDSA", ed.private)))
    assert unnamed.find("", "EdDSA") is not None
    assert unnamed.find(ed.kid, "EdDSA") is None


def test_one_id_may_name_keys_of_two_algorithms(world: World) -> None:
    first, second = (Signer(name, world.signers[name].private, "same") for name in ("ES256", "EdDSA"))
    keys = parse_jwks(jwks(first, second))
    assert keys.find("same", "ES256") != keys.find("same", "EdDSA")


def test_nothing_is_found_among_no_keys() -> None:
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
def test_unusable_keys_are_passed_over_and_alone_are_refused(name: str, world: World) -> None:
    member = UNUSABLE[name](world.signers["EdDSA"].jwk)
    with pytest.raises(UnusableKeyError, match=r"there is no usable key \(key 1: "):
        parse_jwks(document(member))
    assert parse_jwks(document(member, world.signers["ES256"].jwk)).algorithms == {"ES256"}


def test_a_secret_member_does_not_show(world: World) -> None:
    with pytest.raises(UnusableKeyError) as refused:
        parse_jwks(document(world.signers["EdDSA"].jwk | {"d": "canary"}, {"kty": "oct", "k": "canary"}))
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
def test_a_document_that_is_no_jwks_is_refused(raw: bytes, complaint: str) -> None:
    with pytest.raises(UnusableKeyError, match=complaint):
        parse_jwks(raw)


def test_two_keys_of_one_name_are_refused(world: World) -> None:
    ed = world.signers["EdDSA"]
    with pytest.raises(UnusableKeyError, match="two keys have the same kid"):
        parse_jwks(jwks(ed, new_signer("EdDSA", ed.kid)))
