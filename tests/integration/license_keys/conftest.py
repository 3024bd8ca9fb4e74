"""The license keys of an empty database."""

import pytest
from pydantic import SecretStr

from exhaust.postgres.database import Database
from exhaust.postgres.license_keys import Client, KeyStore

OLD, NEW = "an old pepper of enough characters", "a new pepper with enough characters"
NAMES = ("client", "dashboard")


@pytest.fixture
def keys(database: Database) -> KeyStore:
    return KeyStore(database, {1: SecretStr(OLD)})


async def holder(keys: KeyStore, license_key: str) -> Client:
    """The holder of a key that works."""
    client = await keys.authenticate(license_key)
    assert client is not None
    return client
