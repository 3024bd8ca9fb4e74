"""The claims that count are the ones that the signature library returns, never those read before the signature."""

import time
from collections.abc import Callable

import jwt
import pytest
from structlog.testing import capture_logs

from exhaust.errors import ExhaustError
from exhaust.postgres.token_subjects import TokenSubject
from services.gateway.auth.tokens.verifier import TokenVerifier
from tests.integration.gateway_tokens.forge import ALGORITHMS, World, good_claims, issuer_name, token, without


@pytest.fixture
def library_reads(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Let PyJWT read another token than the one it is given, as if two parsers disagreed about one text."""
    decode = jwt.decode
    return lambda other: monkeypatch.setattr(jwt, "decode", lambda _, *args, **options: decode(other, *args, **options))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_the_bearer_is_the_one_whom_the_library_reads(
    algorithm: str, world: World, verifier: TokenVerifier, library_reads: Callable[[str], None]
) -> None:
    library_reads(world.claiming(algorithm, sub="somebody else"))
    assert await verifier.verify(world.good(algorithm)) == TokenSubject(issuer_name(algorithm), "somebody else")


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
async def test_the_claims_that_the_library_reads_are_checked(
    claims: dict[str, object],
    reason: str,
    world: World,
    verifier: TokenVerifier,
    library_reads: Callable[[str], None],
) -> None:
    """A number is seconds from now on."""
    now = int(time.time())
    library_reads(
        world.claiming(**{name: now + value if isinstance(value, int) else value for name, value in claims.items()})
    )
    assert await reason_of_refusal(verifier, world.good()) == reason


@pytest.mark.parametrize("name", ["iss", "sub", "aud", "exp", "iat"])
async def test_a_claim_that_the_library_does_not_read_is_missing(
    name: str, world: World, verifier: TokenVerifier, library_reads: Callable[[str], None]
) -> None:
    library_reads(token(world.header(), without(good_claims(), name), world.signers["EdDSA"]))
    assert await reason_of_refusal(verifier, world.good()) == "MissingRequiredClaimError"


async def reason_of_refusal(verifier: TokenVerifier, good: str) -> object:
    with capture_logs() as lines, pytest.raises(ExhaustError):
        await verifier.verify(good)
    (line,) = lines
    return line["reason"]
