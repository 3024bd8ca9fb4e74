from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from structlog.testing import capture_logs

from exhaust.errors import ErrorCode, ExhaustError, token_refused
from exhaust.postgres.token_subjects import TokenSubject
from services.gateway.auth.tokens.verifier import TokenVerifier, open_token_verifier
from tests.integration.gateway_tokens import claim_attacks, header_attacks, shape_attacks, signature_attacks
from tests.integration.gateway_tokens.attack import Attack
from tests.integration.gateway_tokens.forge import ALGORITHMS, SUBJECT, World, issuer_name

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
async def test_every_attack_is_refused_with_one_answer_and_its_reason(
    kind: Callable[[], Iterator[Attack]], world: World, verifier: TokenVerifier
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
        found[attack.name] = await refusal(verifier, attack.make(world))
    assert found == expected


def test_there_are_many_attacks_and_each_is_another_token(world: World) -> None:
    tokens = [attack.make(world) for kind in KINDS for attack in kind()]
    print(f"\n{len(tokens)} attack tokens")
    assert len(tokens) >= 300
    # A few of one kind make the same token by two ways, such as an empty signature.
    assert len(set(tokens)) >= 300


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_the_token_that_attacks_start_from_is_good(algorithm: str, world: World, verifier: TokenVerifier) -> None:
    assert await verifier.verify(world.good(algorithm)) == TokenSubject(issuer_name(algorithm), SUBJECT)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_without_a_file_of_issuers_every_token_is_refused_alike(algorithm: str, world: World) -> None:
    async with open_token_verifier(None) as verifier:
        refused = await refusal(verifier, world.good(algorithm))
    assert (refused.code, refused.message, refused.status) == (ErrorCode.LOGIN_FAILED, token_refused().message, 401)


async def test_the_log_shows_no_value_of_a_token(world: World, verifier: TokenVerifier) -> None:
    canary = "canary-f81d4fae"
    tokens = [world.claiming(**{name: canary, "more": canary}) for name in ("iss", "aud", "exp", "iat", "nbf")]
    tokens += [world.headed(**{name: canary}) for name in ("alg", "typ", "kid", "jku", "crit")]
    tokens += [world.claiming(jti=[canary]), world.claiming(sub=canary, exp=1), world.claiming(sub=f"{canary}\n")]
    tokens += [f"{canary}.{canary}.{canary}", f"{world.good()}{canary}"]
    lines = [str((await refusal(verifier, token)).log) for token in tokens]
    assert [line for line in lines if canary in line or "eyJ" in line] == []
