"""License keys: made, stored as a keyed hash, recognised."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from exhaust.audit import record_action
from exhaust.errors import ErrorCode, ExhaustError
from exhaust.postgres import UniqueConflictError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import SecretStr

    from exhaust.postgres import Database

_REGISTER: Final = """
INSERT INTO data_exhaust_users (client_name, license_key_name, license_key_hash, pepper_version)
VALUES ($1, $2, $3, $4) RETURNING id
"""
_AUTHENTICATE: Final = """
SELECT id, client_name, license_key_name FROM data_exhaust_users
WHERE license_key_hash = ANY($1::bytea[]) AND revoked_at IS NULL
"""


@dataclass(frozen=True, slots=True)
class Client:
    """Whose license key it is."""

    user_id: int
    client_name: str
    license_key_name: str


class KeyStore:
    """The license keys in PostgreSQL; the keys themselves are nowhere."""

    def __init__(self, database: Database, peppers: Mapping[int, SecretStr]) -> None:
        """Prepare.

        Args:
            database: with the runtime role.
            peppers: secrets by version; the highest hashes new keys, all are tried for old ones.
        """
        self._database = database
        self._peppers = {version: pepper.get_secret_value().encode() for version, pepper in peppers.items()}

    async def register(self, client_name: str, license_key_name: str) -> str:
        """Make a key for a client. It is shown this once.

        Raises:
            ExhaustError: INVALID_DATA_ERROR when the client has a key of that name.
        """
        license_key = str(uuid4())  # 122 random bits
        version = max(self._peppers)
        try:
            async with self._database.transaction() as connection:
                row = await connection.fetch_one(
                    _REGISTER, client_name, license_key_name, self._hash(license_key, version), version
                )
                await record_action(
                    connection,
                    actor="public",
                    action="register",
                    subject=f"user/{row['id'] if row else ''}",
                    detail={"client": client_name, "key": license_key_name},
                )
        except UniqueConflictError as error:
            raise ExhaustError(
                ErrorCode.INVALID_DATA_ERROR,
                f"client {client_name!r} already has a license key named {license_key_name!r}; choose another"
                " licenseKeyName",
            ) from error
        return license_key

    async def authenticate(self, license_key: str) -> Client:
        """Recognise a key. Right and wrong keys take the same path.

        Raises:
            ExhaustError: LOGIN_FAILED for an unknown or revoked key.
        """
        hashes = [self._hash(license_key, version) for version in self._peppers]
        row = await self._database.fetch_one(_AUTHENTICATE, hashes)
        if row is None:
            raise ExhaustError(ErrorCode.LOGIN_FAILED, "the license key is invalid")
        return Client(row["id"], row["client_name"], row["license_key_name"])

    def _hash(self, license_key: str, version: int) -> bytes:
        # surrogatepass: a JSON string may hold what UTF-8 cannot; such a key is simply a wrong one.
        return hmac.digest(self._peppers[version], license_key.encode("utf-8", "surrogatepass"), sha256)
