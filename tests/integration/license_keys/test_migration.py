"""The keys of the version before are taken along."""

import hashlib
import hmac
from datetime import UTC, datetime
from hashlib import sha256
from importlib import resources

from pydantic import SecretStr

from deploy.local.stack import Stack
from exhaust.postgres.database import open_database
from exhaust.postgres.license_keys import KeyStore
from exhaust.postgres.migrate import migrate
from tests.integration.conftest import RUNTIME_ROLE, new_schema, within
from tests.integration.license_keys.conftest import OLD, holder


async def test_the_migration_keeps_the_keys_of_the_version_before(servers: Stack) -> None:
    before = resources.files("exhaust.postgres.migrations").joinpath("0001_initial.sql").read_text()
    insert = (
        "INSERT INTO data_exhaust_users (client_name, license_key_name, license_key_hash, pepper_version, revoked_at)"
        " VALUES ('client', $1, $2, 1, $3)"
    )

    def hashed(text: str) -> bytes:
        return hmac.digest(OLD.encode(), text.encode(), sha256)

    async with (
        new_schema(servers.postgres) as name,
        open_database(within(name, servers.postgres), pool_size=2) as fresh,
    ):
        async with fresh.transaction() as connection:
            await connection.execute(before)
            await connection.execute(
                "CREATE TABLE schema_migrations"
                " (name text PRIMARY KEY, sha256 text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
            )
            digest = hashlib.sha256(before.encode()).hexdigest()
            await connection.execute("INSERT INTO schema_migrations VALUES ('0001_initial.sql', $1)", digest)
            await connection.execute(insert, "valid", hashed("a key"), None)
            await connection.execute(insert, "revoked", hashed("a lost key"), datetime.now(UTC))
        assert "0002_keys_and_limits.sql" in await migrate(fresh, runtime_role=RUNTIME_ROLE)
        keys = KeyStore(fresh, {1: SecretStr(OLD)})
        assert (await holder(keys, "a key")).license_key_name == "valid"
        assert await keys.authenticate("a lost key") is None
        async with fresh.transaction() as connection:  # a gateway of the version before that still runs
            await connection.execute(insert, "late", hashed("a late key"), None)
        assert (await holder(keys, "a late key")).license_key_name == "late"
