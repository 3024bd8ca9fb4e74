import time
from datetime import timedelta

import pytest

from exhaust.postgres.token_subjects import TokenSubject
from exhaust.tokens.verifier import TokenVerifier
from tests.integration.gateway_tokens.token_factory import (
    ALGORITHMS,
    SUBJECT,
    TokenFactory,
    good_claims,
    issuer_name,
    token,
    without,
)

EXPECTED = TokenSubject(issuer_name("EdDSA"), SUBJECT)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_a_good_token_gives_its_subject(algorithm: str, factory: TokenFactory, verifier: TokenVerifier) -> None:
    assert await verifier.verify(factory.good(algorithm)) == TokenSubject(issuer_name(algorithm), SUBJECT)


@pytest.mark.parametrize(
    "claims",
    [
        {"sub": "s" * 256},
        {"sub": "Jürgen Ünal / 用户"},
        {"iat": timedelta(seconds=-5.25), "exp": timedelta(seconds=60.75)},
        {"iat": timedelta(seconds=-5), "exp": timedelta(seconds=3595)},
        {"nbf": timedelta(seconds=-60)},
        {"nbf": timedelta(seconds=20)},
        {"iat": timedelta(seconds=20)},
        {"iat": timedelta(seconds=-60), "exp": timedelta(seconds=-5)},
        {"jti": "one", "scope": ["a", "b"], "realm_access": {"roles": []}, "azp": None},
    ],
    ids=str,
)
async def test_claims_may_differ_within_their_limits(
    claims: dict[str, object], factory: TokenFactory, verifier: TokenVerifier
) -> None:
    """Take a timedelta as a time from now, since the test may run long after it was collected."""
    now = int(time.time())
    claimed = {
        name: now + value.total_seconds() if isinstance(value, timedelta) else value for name, value in claims.items()
    }
    assert await verifier.verify(factory.with_claims(**claimed)) == TokenSubject(
        issuer_name("EdDSA"), str(claims.get("sub", SUBJECT))
    )


@pytest.mark.parametrize("header", [{"typ": "at+jwt"}, {"x5t": "thumbprint"}, {"unknown": [1]}], ids=str)
async def test_the_header_may_have_other_members(
    header: dict[str, object], factory: TokenFactory, verifier: TokenVerifier
) -> None:
    assert await verifier.verify(factory.with_header(**header)) == EXPECTED


@pytest.mark.parametrize("absent", ["typ", "kid"])
async def test_optional_header_members_may_be_absent(
    absent: str, factory: TokenFactory, verifier: TokenVerifier
) -> None:
    good = token(without(factory.header(), absent), good_claims(), factory.signers["EdDSA"])
    assert await verifier.verify(good) == EXPECTED


@pytest.mark.parametrize("algorithm", ["ES256", "HS256"])
async def test_a_static_key_serves_tokens_of_any_key_id(
    algorithm: str, factory: TokenFactory, verifier: TokenVerifier
) -> None:
    named = factory.with_header(algorithm, kid="../../dev/null")
    assert await verifier.verify(named) == TokenSubject(issuer_name(algorithm), SUBJECT)
