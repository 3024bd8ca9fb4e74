from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from structlog.testing import capture_logs

from exhaust.errors import ErrorCode, ExhaustError, token_refused
from exhaust.postgres.token_subjects import TokenSubject
from exhaust.tokens.verifier import TokenVerifier, open_token_verifier
from tests.integration.gateway_tokens import claim_attacks, header_attacks, shape_attacks, signature_attacks
from tests.integration.gateway_tokens.attack import Attack
from tests.integration.gateway_tokens.token_factory import ALGORITHMS, SUBJECT, TokenFactory, issuer_name

KINDS: tuple[Callable[[], Iterator[Attack]], ...] = (
    signature_attacks.no_algorithm,
    signature_attacks.public_keys_as_secrets,
    signature_attacks.other_algorithms,
    signature_attacks.other_keys,
    signature_attacks.broken_signatures,
    signature_attacks.swapped_parts,
    header_attacks.key_ids,
    header_attacks.own_keys,
    header_attacks.other_readings,
    claim_attacks.missing_and_wrong,
    claim_attacks.names,
    claim_attacks.times,
    claim_attacks.raw_payloads,
    shape_attacks.shapes,
    shape_attacks.lengths,
    shape_attacks.other_spellings,
    shape_attacks.other_json,
    shape_attacks.tokens_within_tokens,
)


@dataclass(frozen=True)
class Refusal:
    code: str
    message: str
    status: int
    log: list[dict[str, object]]


async def refusal(verifier: TokenVerifier, token: str) -> Refusal:
    with capture_logs() as lines, pytest.raises(ExhaustError) as refused:
        await verifier.verify(token)
    return Refusal(refused.value.code, refused.value.message, refused.value.status, [dict(line) for line in lines])


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
async def test_attacks_get_the_same_answer_and_the_log_gives_the_reason(
    kind: Callable[[], Iterator[Attack]], factory: TokenFactory, verifier: TokenVerifier
) -> None:
    expected, found = {}, {}
    for attack in kind():
        assert attack.name not in expected
        expected[attack.name] = Refusal(
            ErrorCode.LOGIN_FAILED,
            token_refused().message,
            401,
            [{"event": "token.refused", "log_level": "info", "reason": attack.reason}],
        )
        found[attack.name] = await refusal(verifier, attack.make(factory))
    assert found == expected


def test_the_attacks_are_at_least_300_different_tokens(factory: TokenFactory) -> None:
    tokens = [attack.make(factory) for kind in KINDS for attack in kind()]
    print(f"\n{len(tokens)} attack tokens")
    assert len(tokens) >= 300
    # A few of one kind make the same token by two ways, such as an empty signature.
    assert len(set(tokens)) >= 300


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_the_token_that_the_attacks_change_is_accepted(
    algorithm: str, factory: TokenFactory, verifier: TokenVerifier
) -> None:
    assert await verifier.verify(factory.good(algorithm)) == TokenSubject(issuer_name(algorithm), SUBJECT)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_every_token_is_refused_without_an_issuers_file(algorithm: str, factory: TokenFactory) -> None:
    async with open_token_verifier(None) as verifier:
        refused = await refusal(verifier, factory.good(algorithm))
    assert (refused.code, refused.message, refused.status) == (ErrorCode.LOGIN_FAILED, token_refused().message, 401)


async def test_the_log_shows_no_value_of_a_token(factory: TokenFactory, verifier: TokenVerifier) -> None:
    canary = "canary-f81d4fae"
    tokens = [factory.with_claims(**{name: canary, "more": canary}) for name in ("iss", "aud", "exp", "iat", "nbf")]
    tokens += [factory.with_header(**{name: canary}) for name in ("alg", "typ", "kid", "jku", "crit")]
    tokens += [
        factory.with_claims(jti=[canary]),
        factory.with_claims(sub=canary, exp=1),
        factory.with_claims(sub=f"{canary}\n"),
    ]
    tokens += [f"{canary}.{canary}.{canary}", f"{factory.good()}{canary}"]
    lines = [str((await refusal(verifier, token)).log) for token in tokens]
    assert [line for line in lines if canary in line or "eyJ" in line] == []
