"""What the role of the running services may not do."""

import pytest

from exhaust.postgres.database import Database
from exhaust.postgres.license_keys import KeyStore
from tests.integration.license_keys.conftest import NAMES


@pytest.mark.parametrize(
    "statement",
    ["UPDATE license_keys SET revoked_at = NULL", "UPDATE license_keys SET revoked_at = now() + interval '1 day'"],
)
async def test_a_revocation_is_final_for_every_role(
    keys: KeyStore, database: Database, owner_database: Database, statement: str
) -> None:
    await keys.register(*NAMES)
    await keys.revoke(*NAMES, actor="operator/somebody")
    for role in (database, owner_database):
        with pytest.raises(Exception, match="a revoked license key stays revoked"):
            async with role.transaction() as connection:
                await connection.execute(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM license_keys",
        "TRUNCATE license_keys",
        "UPDATE license_keys SET user_id = user_id",
        "UPDATE license_keys SET created_at = now()",
        "ALTER TABLE license_keys DISABLE TRIGGER ALL",
        "INSERT INTO token_subjects (issuer, subject, user_id) VALUES ('i', 's', 1)",
        "UPDATE token_subjects SET user_id = 1",
        "DELETE FROM token_subjects",
        "UPDATE idempotency_keys SET fingerprint = ''",
        "UPDATE data_exhaust_users_resources SET resource_id = 'mine'",
        "UPDATE audit SET at = now()",
        "DELETE FROM audit",
        "TRUNCATE audit",
    ],
)
async def test_the_runtime_role_may_not(database: Database, statement: str) -> None:
    with pytest.raises(Exception, match=r"permission denied|must be owner"):
        async with database.transaction() as connection:
            await connection.execute(statement)
