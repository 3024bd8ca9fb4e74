"""A verifier that trusts the four issuers."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.gateway.auth.tokens.verifier import TokenVerifier, open_token_verifier
from tests.integration.gateway_tokens.forge import World


@pytest.fixture(scope="session")
def world() -> World:
    return World()


@pytest.fixture(scope="session")
def issuers_file(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return world.write(tmp_path_factory.mktemp("issuers"))


@pytest.fixture(scope="session")
async def verifier(world: World, issuers_file: Path) -> AsyncIterator[TokenVerifier]:
    async with open_token_verifier(issuers_file, environ=world.environ) as opened:
        yield opened
