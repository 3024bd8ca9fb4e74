"""The verifier uses the claims that the signature library returns, never those that it read before."""

import time
from collections.abc import Callable

import jwt
import pytest
from structlog.testing import capture_logs

from exhaust.errors import ExhaustError
from exhaust.postgres.token_subjects import TokenSubject
from exhaust.tokens.verifier import TokenVerifier
from tests.integration.gateway_tokens.token_factory import (
    ALGORITHMS,
    TokenFactory,
    good_claims,
    issuer_name,
    token,
    without,
)


@pytest.fixture
def let_library_read(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Let PyJWT read another token than the one it is given, as if two parsers disagreed about one text."""
    decode = jwt.decode
    return lambda other: monkeypatch.setattr(jwt, "decode", lambda _, *args, **options: decode(other, *args, **options))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_the_subject_is_the_one_that_the_library_returns(
    algorithm: str, factory: TokenFactory, verifier: TokenVerifier, let_library_read: Callable[[str], None]
) -> None:
    let_library_read(factory.with_claims(algorithm, sub="somebody else"))
    assert await verifier.verify(factory.good(algorithm)) == TokenSubject(issuer_name(algorithm), "somebody else")


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"iss": issuer_name("ES256")}, "InvalidIssuerError"),
        ({"aud": "somebody-else"}, "InvalidAudienceError"),
        ({"iat": -600, "exp": -60}, "ExpiredSignatureError"),
        ({"nbf": 600}, "ImmatureSignatureError"),
        ({"iat": 600}, "ImmatureSignatureError"),
        ({"iat": -3600}, "lifetime not allowed for this issuer"),
        ({"exp": 3600}, "lifetime not allowed for this issuer"),
        ({"iat": 20, "exp": 20}, "lifetime not allowed for this issuer"),
        ({"sub": "a\nb"}, "sub: not printable"),
        ({"sub": ""}, "sub: string_too_short"),
        ({"sub": "s" * 257}, "sub: string_too_long"),
        ({"exp": "1800000000"}, "exp: float_type"),
    ],
    ids=str,
)
async def test_the_claims_that_the_library_returns_are_checked(
    claims: dict[str, object],
    reason: str,
    factory: TokenFactory,
    verifier: TokenVerifier,
    let_library_read: Callable[[str], None],
) -> None:
    """Take a number as seconds from now."""
    now = int(time.time())
    let_library_read(
        factory.with_claims(
            **{name: now + value if isinstance(value, int) else value for name, value in claims.items()}
        )
    )
    assert await reason_of_refusal(verifier, factory.good()) == reason


@pytest.mark.parametrize("name", ["iss", "sub", "aud", "exp", "iat"])
async def test_a_claim_that_the_library_does_not_return_is_missing(
    name: str, factory: TokenFactory, verifier: TokenVerifier, let_library_read: Callable[[str], None]
) -> None:
    let_library_read(token(factory.header(), without(good_claims(), name), factory.signers["EdDSA"]))
    assert await reason_of_refusal(verifier, factory.good()) == "MissingRequiredClaimError"


async def reason_of_refusal(verifier: TokenVerifier, good: str) -> object:
    with capture_logs() as lines, pytest.raises(ExhaustError):
        await verifier.verify(good)
    (line,) = lines
    return line["reason"]
