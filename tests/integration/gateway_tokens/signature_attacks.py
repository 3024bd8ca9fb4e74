"""Tokens without a signature, or with one of another algorithm, key or token."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from tests.integration.gateway_tokens.attack import BAD_SHAPE, BAD_SIGNATURE, NOT_ALLOWED, Attack, with_header
from tests.integration.gateway_tokens.token_factory import (
    ALGORITHMS,
    Signer,
    encoded,
    good_claims,
    jwks,
    token,
    without,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.integration.gateway_tokens.token_factory import TokenFactory

WEAK_RSA_BITS = 1024
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def no_algorithm() -> Iterator[Attack]:
    for spelling in ("none", "None", "NONE", "nOnE", "none ", " none", "n\u043ene", "EdDSA ", "eddsa", "\x00"):
        yield with_header(f"alg {spelling!r}, rightly signed", NOT_ALLOWED, alg=spelling)
    for spelling in ("none", "None", "NONE", "nonE"):
        yield Attack(
            f"alg {spelling!r}, no signature",
            BAD_SHAPE,
            lambda factory, spelling=spelling: factory.with_header(alg=spelling).rpartition(".")[0] + ".",
        )
    yield Attack(
        "alg none, no third part", BAD_SHAPE, lambda factory: factory.with_header(alg="none").rpartition(".")[0]
    )
    yield with_header("alg of nothing", "alg: string_too_short", alg="")
    yield with_header("alg of 4 kB", "alg: string_too_long", alg="n" * 4000)
    for value in (None, 0, True, [], ["EdDSA"], {"alg": "EdDSA"}):
        yield with_header(f"alg {value!r}", "alg: string_type", alg=value)
    yield Attack(
        "no alg",
        "alg: missing",
        lambda factory: token(without(factory.header(), "alg"), good_claims(), factory.signers["EdDSA"]),
    )


def public_keys_as_secrets() -> Iterator[Attack]:
    """Sign by HS256 with a public text as the secret."""

    def with_public(public: Callable[[TokenFactory], bytes], issuer: str) -> Callable[[TokenFactory], str]:
        header = {"alg": "HS256", "typ": "JWT"}
        return lambda factory: token(header, good_claims(issuer), Signer("HS256", public(factory)))

    publics: dict[str, Callable[[TokenFactory], bytes]] = {
        "RSA key in PEM": lambda factory: factory.signers["RS256"].pem,
        "RSA key in PEM without its last newline": lambda factory: factory.signers["RS256"].pem.strip(),
        "JWKS": lambda factory: jwks(factory.signers["RS256"]),
        "RSA modulus": lambda factory: str(factory.signers["RS256"].jwk["n"]).encode(),
        "P-256 key in PEM": lambda factory: factory.signers["ES256"].pem,
        "empty text": lambda _: b"",
    }
    for name, public in publics.items():
        for issuer in ("RS256", "ES256", "EdDSA"):
            yield Attack(f"HS256 under the {issuer} issuer, {name}", NOT_ALLOWED, with_public(public, issuer))
        yield Attack(f"HS256 under the HS256 issuer, {name}", BAD_SIGNATURE, with_public(public, "HS256"))


def other_algorithms() -> Iterator[Attack]:
    for algorithm, others in {
        "RS256": ("RS384", "RS512", "PS256", "HS256", "ES256", "EdDSA"),
        "ES256": ("ES256K", "ES384", "ES512", "RS256", "HS256"),
        "EdDSA": ("Ed25519", "ES256", "RS256", "HS256"),
        "HS256": ("HS384", "HS512", "RS256", "none"),
    }.items():
        for other in others:
            yield with_header(f"{other} under the {algorithm} issuer", NOT_ALLOWED, algorithm, alg=other)


def other_keys() -> Iterator[Attack]:
    for algorithm in ALGORITHMS:
        yield Attack(
            f"{algorithm} with the attacker's key",
            BAD_SIGNATURE,
            lambda factory, name=algorithm: token(factory.header(name), good_claims(name), factory.attackers[name]),
        )
    weak = Signer("RS256", generate_private_key(public_exponent=65537, key_size=WEAK_RSA_BITS))
    yield Attack(
        "a weak RSA key", BAD_SIGNATURE, lambda factory: token(factory.header("RS256"), good_claims("RS256"), weak)
    )


def broken_signatures() -> Iterator[Attack]:
    def signed(algorithm: str, signature: bytes) -> Callable[[TokenFactory], str]:
        return lambda factory: f"{factory.good(algorithm).rpartition('.')[0]}.{encoded(signature)}"

    order = P256_ORDER.to_bytes(32, "big")
    broken: dict[str, dict[str, bytes]] = {
        "ES256": {
            "r = s = 0": bytes(64),
            "r = 0": bytes(63) + b"\1",
            "s = 0": bytes(31) + b"\1" + bytes(32),
            "r = s = the order": order * 2,
            "r = s = 2^256 - 1": b"\xff" * 64,
            "DER of zeros": bytes.fromhex("3006020100020100"),
            "96 zeros": bytes(96),
        },
        "EdDSA": {"zeros": bytes(64), "the identity": b"\1" + bytes(63), "one byte": b"\0"},
        "RS256": {"zeros": bytes(256), "one": bytes(255) + b"\1", "one byte": b"\0", "257 zeros": bytes(257)},
        "HS256": {"zeros": bytes(32), "one byte": b"\0"},
    }
    for algorithm, signatures in broken.items():
        for name, signature in signatures.items():
            yield Attack(f"{algorithm} signature: {name}", BAD_SIGNATURE, signed(algorithm, signature))


def swapped_parts() -> Iterator[Attack]:
    """Combine the parts of several good tokens."""

    def joined(factory: TokenFactory, algorithm: str, *, header: bool = False, payload: bool = False) -> str:
        good = factory.good(algorithm).split(".")
        other = token(
            factory.header(algorithm, typ="at+jwt"),
            good_claims(algorithm, sub="somebody else"),
            factory.signers[algorithm],
        ).split(".")
        return ".".join((other[0] if header else good[0], other[1] if payload else good[1], good[2]))

    def resigned(factory: TokenFactory, algorithm: str, change: Callable[[bytes], bytes]) -> str:
        signed, _, _ = factory.good(algorithm).rpartition(".")
        return f"{signed}.{encoded(change(factory.signers[algorithm].sign(signed.encode())))}"

    changes: dict[str, Callable[[bytes], bytes]] = {
        "without its last byte": lambda signature: signature[:-1],
        "half of it": lambda signature: signature[: len(signature) // 2],
        "with a byte more": lambda signature: signature + b"\0",
        "with a bit changed": lambda signature: bytes([signature[0] ^ 1]) + signature[1:],
        "twice": lambda signature: signature * 2,
    }
    for algorithm in ALGORITHMS:
        yield Attack(
            f"{algorithm}: payload of another", BAD_SIGNATURE, lambda w, a=algorithm: joined(w, a, payload=True)
        )
        yield Attack(f"{algorithm}: header of another", BAD_SIGNATURE, lambda w, a=algorithm: joined(w, a, header=True))
        for name, change in changes.items():
            yield Attack(
                f"{algorithm} signature {name}", BAD_SIGNATURE, lambda w, a=algorithm, c=change: resigned(w, a, c)
            )
