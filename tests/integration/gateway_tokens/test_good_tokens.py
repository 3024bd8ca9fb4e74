import time
from datetime import timedelta

import pytest

from exhaust.postgres.token_subjects import TokenSubject
from services.gateway.auth.tokens.verifier import TokenVerifier
from tests.integration.gateway_tokens.forge import ALGORITHMS, SUBJECT, World, good_claims, issuer_name, token, without

CALLER = TokenSubject(issuer_name("EdDSA"), SUBJECT)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_a_good_token_of_each_algorithm_names_its_bearer(
    algorithm: str, world: World, verifier: TokenVerifier
) -> None:
    assert await verifier.verify(world.good(algorithm)) == TokenSubject(issuer_name(algorithm), SUBJECT)


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
async def test_what_may_differ_in_claims(claims: dict[str, object], world: World, verifier: TokenVerifier) -> None:
    """A timedelta is a time from now on: of this test, which may run long after it was collected."""
    now = int(time.time())
    claimed = {
        name: now + value.total_seconds() if isinstance(value, timedelta) else value for name, value in claims.items()
    }
    assert await verifier.verify(world.claiming(**claimed)) == TokenSubject(
        issuer_name("EdDSA"), str(claims.get("sub", SUBJECT))
    )


@pytest.mark.parametrize("header", [{"typ": "at+jwt"}, {"x5t": "thumbprint"}, {"unknown": [1]}], ids=str)
async def test_what_may_differ_in_the_header(header: dict[str, object], world: World, verifier: TokenVerifier) -> None:
    assert await verifier.verify(world.headed(**header)) == CALLER


@pytest.mark.parametrize("absent", ["typ", "kid"])
async def test_what_may_be_absent_from_the_header(absent: str, world: World, verifier: TokenVerifier) -> None:
    good = token(without(world.header(), absent), good_claims(), world.signers["EdDSA"])
    assert await verifier.verify(good) == CALLER


@pytest.mark.parametrize("algorithm", ["ES256", "HS256"])
async def test_a_key_that_has_no_id_serves_whatever_id_a_token_names(
    algorithm: str, world: World, verifier: TokenVerifier
) -> None:
    named = world.headed(algorithm, kid="../../dev/null")
    assert await verifier.verify(named) == TokenSubject(issuer_name(algorithm), SUBJECT)
