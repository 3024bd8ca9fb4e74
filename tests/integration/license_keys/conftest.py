"""The license keys of an empty database."""

import pytest
from pydantic import SecretStr

from exhaust.errors import ErrorCode, ExhaustError
from exhaust.postgres.database import Database
from exhaust.postgres.license_keys import KeyStore

OLD, NEW = "an old pepper of enough characters", "a new pepper with enough characters"
NAMES = ("client", "dashboard")
WRONG_KEY = (ErrorCode.LOGIN_FAILED, "the license key is invalid")


@pytest.fixture
def keys(database: Database) -> KeyStore:
    return KeyStore(database, {1: SecretStr(OLD)})


async def refusal(keys: KeyStore, license_key: str) -> tuple[ErrorCode, str]:
    with pytest.raises(ExhaustError) as refused:
        await keys.authenticate(license_key)
    return refused.value.code, refused.value.message
