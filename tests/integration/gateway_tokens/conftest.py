"""A verifier that trusts the four issuers."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from exhaust.tokens.verifier import TokenVerifier, open_token_verifier
from tests.integration.gateway_tokens.token_factory import TokenFactory


@pytest.fixture(scope="session")
def factory() -> TokenFactory:
    return TokenFactory()


@pytest.fixture(scope="session")
def issuers_file(factory: TokenFactory, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return factory.write(tmp_path_factory.mktemp("issuers"))


@pytest.fixture(scope="session")
async def verifier(factory: TokenFactory, issuers_file: Path) -> AsyncIterator[TokenVerifier]:
    async with open_token_verifier(issuers_file, environ=factory.environ) as opened:
        yield opened
