"""No signature, one of another kind, one of another key, one of another token."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from tests.integration.gateway_tokens.attack import BAD_SHAPE, BAD_SIGNATURE, NOT_ALLOWED, Attack, headed
from tests.integration.gateway_tokens.forge import ALGORITHMS, Signer, encoded, good_claims, jwks, token, without

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.integration.gateway_tokens.forge import World

WEAK_RSA_BITS = 1024
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def no_algorithm() -> Iterator[Attack]:
    for spelling in ("none", "None", "NONE", "nOnE", "none ", " none", "n\u043ene", "EdDSA ", "eddsa", "\x00"):
        yield headed(f"alg {spelling!r}, rightly signed", NOT_ALLOWED, alg=spelling)
    for spelling in ("none", "None", "NONE", "nonE"):
        yield Attack(
            f"alg {spelling!r}, no signature",
            BAD_SHAPE,
            lambda world, spelling=spelling: world.headed(alg=spelling).rpartition(".")[0] + ".",
        )
    yield Attack("alg none, no third part", BAD_SHAPE, lambda world: world.headed(alg="none").rpartition(".")[0])
    yield headed("alg of nothing", "alg: string_too_short", alg="")
    yield headed("alg of 4 kB", "alg: string_too_long", alg="n" * 4000)
    for value in (None, 0, True, [], ["EdDSA"], {"alg": "EdDSA"}):
        yield headed(f"alg {value!r}", "alg: string_type", alg=value)
    yield Attack(
        "no alg",
        "alg: missing",
        lambda world: token(without(world.header(), "alg"), good_claims(), world.signers["EdDSA"]),
    )


def public_keys_as_secrets() -> Iterator[Attack]:
    """HS256 with what everybody knows as its secret."""

    def with_public(public: Callable[[World], bytes], issuer: str) -> Callable[[World], str]:
        header = {"alg": "HS256", "typ": "JWT"}
        return lambda world: token(header, good_claims(issuer), Signer("HS256", public(world)))

    publics: dict[str, Callable[[World], bytes]] = {
        "RSA key in PEM": lambda world: world.signers["RS256"].pem,
        "RSA key in PEM without its last newline": lambda world: world.signers["RS256"].pem.strip(),
        "JWKS": lambda world: jwks(world.signers["RS256"]),
        "RSA modulus": lambda world: str(world.signers["RS256"].jwk["n"]).encode(),
        "P-256 key in PEM": lambda world: world.signers["ES256"].pem,
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
            yield headed(f"{other} under the {algorithm} issuer", NOT_ALLOWED, algorithm, alg=other)


def other_keys() -> Iterator[Attack]:
    for algorithm in ALGORITHMS:
        yield Attack(
            f"{algorithm} with the attacker's key",
            BAD_SIGNATURE,
            lambda world, name=algorithm: token(world.header(name), good_claims(name), world.attackers[name]),
        )
    weak = Signer("RS256", generate_private_key(public_exponent=65537, key_size=WEAK_RSA_BITS))
    yield Attack(
        "a weak RSA key", BAD_SIGNATURE, lambda world: token(world.header("RS256"), good_claims("RS256"), weak)
    )


def broken_signatures() -> Iterator[Attack]:
    def signed(algorithm: str, signature: bytes) -> Callable[[World], str]:
        return lambda world: f"{world.good(algorithm).rpartition('.')[0]}.{encoded(signature)}"

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
    """Parts of good tokens, put together anew."""

    def joined(world: World, algorithm: str, *, header: bool = False, payload: bool = False) -> str:
        good = world.good(algorithm).split(".")
        other = token(
            world.header(algorithm, typ="at+jwt"),
            good_claims(algorithm, sub="somebody else"),
            world.signers[algorithm],
        ).split(".")
        return ".".join((other[0] if header else good[0], other[1] if payload else good[1], good[2]))

    def resigned(world: World, algorithm: str, change: Callable[[bytes], bytes]) -> str:
        signed, _, _ = world.good(algorithm).rpartition(".")
        return f"{signed}.{encoded(change(world.signers[algorithm].sign(signed.encode())))}"

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
