"""The tables of users and their license keys.

A user is a pair of clientName and licenseKeyName, and holds the grants. Each of its keys has a row of its own, so that
the old and the new key both work while a client changes over. Every call asks the database, so that every gateway
refuses a revoked key at once.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from exhaust.errors import ErrorCode, ExhaustError
from exhaust.postgres.audit import Action, record_action
from exhaust.postgres.registrations import confirm_user, insert_user
from exhaust.process.failpoints import failpoint

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from pydantic import SecretStr

    from exhaust.postgres.database import Connection, Database

OVERLAP: Final = timedelta(hours=24)
MOST_VALID_KEYS: Final = 5  # of one user, by its own making

_NEW_KEY: Final = "INSERT INTO license_keys (user_id, license_key_hash, pepper_version) VALUES ($1, $2, $3)"
AUTHENTICATE: Final = """
SELECT user_id, client_name, license_key_name, id, pepper_version FROM valid_license_keys
WHERE license_key_hash = ANY($1::bytea[])
"""
_RESTORE: Final = """
UPDATE license_keys SET license_key_hash = $2, pepper_version = $3 WHERE id = $1 AND pepper_version < $3 RETURNING id
"""
_FIND_USER: Final = "SELECT id FROM data_exhaust_users WHERE client_name = $1 AND license_key_name = $2"
_FIND_HOLDER: Final = "SELECT user_id FROM valid_license_keys WHERE client_name = $1 AND license_key_name = $2 LIMIT 1"
_KEYS: Final = """
SELECT k.id, u.client_name, u.license_key_name, k.pepper_version, k.created_at, k.expires_at,
       coalesce(k.revoked_at, u.revoked_at) AS revoked_at, u.created_at AS registered_at, u.registered_by,
       u.proven_at IS NOT NULL AS proven
FROM license_keys k JOIN data_exhaust_users u ON u.id = k.user_id
"""
_FIND_BY_CLIENT: Final = f"""{_KEYS}
WHERE u.client_name = $1 ORDER BY u.license_key_name, k.id
"""
_FIND_KEY: Final = f"""{_KEYS}
WHERE k.license_key_hash = ANY($1::bytea[])
  AND EXISTS (SELECT FROM valid_license_keys v WHERE v.id = k.id)
"""
_LOCK_KEYS: Final = "SELECT id FROM license_keys WHERE user_id = $1 ORDER BY id FOR UPDATE"
_END_OLD_KEYS: Final = """
UPDATE license_keys SET expires_at = least(expires_at, now() + $2::interval) WHERE user_id = $1 AND revoked_at IS NULL
"""
_REVOKE: Final = """
UPDATE license_keys SET revoked_at = now()
WHERE user_id = $1 AND revoked_at IS NULL AND ($2::bigint IS NULL OR id = $2)
"""
_FIND_LASTING: Final = """
SELECT id FROM license_keys WHERE user_id = $1 AND id = $2 AND revoked_at IS NULL AND expires_at IS NULL
"""
_FIND_VALID: Final = "SELECT id FROM valid_license_keys WHERE user_id = $1 AND id = $2"
_COUNT_VALID: Final = "SELECT count(*) AS valid FROM valid_license_keys WHERE user_id = $1"
_COUNT_BY_PEPPER: Final = """
SELECT pepper_version, count(*) AS keys FROM valid_license_keys GROUP BY pepper_version ORDER BY pepper_version
"""


@dataclass(frozen=True, slots=True)
class Client:
    """A user: the holder of a license key."""

    user_id: int
    client_name: str
    license_key_name: str


@dataclass(frozen=True, slots=True)
class ShownKey:
    """A valid license key that somebody has shown: its holder, and its number among the keys."""

    client: Client
    number: int


@dataclass(frozen=True, slots=True)
class LicenseKey:
    """The description of a license key, without the key itself.

    Attributes:
        number: distinguishes the keys of a user.
        expires_at: the end of a key that a newer one replaces, else None.
        revoked_at: the time of its revocation, else None.
        registered_at: the time when its name was registered; it may be a later key of that name.
        registered_by: public, or the user whose license key came with the registration.
        proven: somebody has shown, or an operator confirmed, that it belongs to the client whose name it bears.
    """

    number: int
    client_name: str
    license_key_name: str
    pepper_version: int
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    registered_at: datetime
    registered_by: str
    proven: bool

    def state(self, now: datetime) -> str:
        """Return one of valid, ending (valid until expires_at), expired and revoked."""
        if self.revoked_at is not None:
            return "revoked"
        if self.expires_at is None:
            return "valid"
        return "ending" if self.expires_at > now else "expired"


class UnknownClientError(ExhaustError):
    """There is no license key of these names, or none that is valid."""

    def __init__(self, client_name: str, license_key_name: str, what: str = "license key") -> None:
        super().__init__(
            ErrorCode.NOT_FOUND,
            f"there is no {what} named {license_key_name!r} of a client {client_name!r}; register it with"
            " POST /v1/client first",
        )


async def find_user(connection: Connection, client_name: str, license_key_name: str) -> int:
    """Return the id of a user, who may be without a valid key.

    Raises:
        UnknownClientError: there is no such user.
    """
    row = await connection.fetch_one(_FIND_USER, client_name, license_key_name)
    if row is None:
        raise UnknownClientError(client_name, license_key_name)
    return int(row["id"])


async def find_holder(connection: Connection, client_name: str, license_key_name: str) -> int:
    """Return the id of a user who has a valid key.

    Raises:
        UnknownClientError: there is no such user, or it has no valid key.
    """
    row = await connection.fetch_one(_FIND_HOLDER, client_name, license_key_name)
    if row is None:
        raise UnknownClientError(client_name, license_key_name, "valid license key")
    return int(row["user_id"])


async def _require_lasting(connection: Connection, user_id: int, number: int) -> None:
    """Check that a key is not being replaced: whoever has an old one must not outlast its end, nor end the new one."""
    if await connection.fetch_one(_FIND_LASTING, user_id, number) is None:
        raise ExhaustError(
            ErrorCode.AUTHORIZATION_FAILED,
            "this license key is being replaced, so it makes and revokes no keys; sign in with its successor",
        )


class KeyStore:
    """The license keys in PostgreSQL, which holds keyed hashes of them and no key."""

    def __init__(self, database: Database, peppers: Mapping[int, SecretStr]) -> None:
        """Prepare.

        Args:
            database: with the runtime role or the owner's.
            peppers: secrets by version; the highest hashes new keys, all are tried for old ones. Only making and
                authenticating keys needs them.
        """
        self._database = database
        self._peppers = {version: pepper.get_secret_value().encode() for version, pepper in peppers.items()}

    async def register(
        self, client_name: str, license_key_name: str, *, vouched_by: Client | None = None, only_proven: bool = False
    ) -> str:
        """Register a user and return its new key, which is stored nowhere.

        Args:
            client_name: the first to register it owns it; further keys under it are proven or unproven.
            license_key_name: another for each key of a client.
            vouched_by: the holder of the key that came with the call; a proven key of the client proves the new one.
            only_proven: refuse a key that would be unproven, and a client name that nobody owns.

        Raises:
            ExhaustError: INVALID_DATA_ERROR when the client has a key of this name already or another client a name
                that looks the same, AUTHORIZATION_FAILED when the key would be unproven and must not be.
        """
        voucher = vouched_by.user_id if vouched_by else None
        async with self._database.transaction() as connection:
            user_id = await insert_user(
                connection, client_name, license_key_name, vouched_by=voucher, only_proven=only_proven
            )
            license_key = await self._new_key(connection, user_id)
            failpoint("register.before_commit")
        return license_key

    async def confirm(self, client_name: str, license_key_name: str, *, actor: str) -> bool:
        """Take a user's key for the client's from now on; return False when it is proven already.

        Raises:
            UnknownClientError: there is no such user, or it has no valid key.
        """
        async with self._database.transaction() as connection:
            user_id = await find_holder(connection, client_name, license_key_name)
            return await confirm_user(connection, user_id, actor=actor)

    async def authenticate(self, license_key: str) -> Client | None:
        """Return the holder of a key, or None for an unknown, expired or revoked key, in the same time."""
        shown = await self.find_key(license_key)
        return shown.client if shown else None

    async def find_key(self, license_key: str) -> ShownKey | None:
        """Return a key that is shown, or None for an unknown, expired or revoked one, in the same time.

        A key that was hashed with an older pepper is hashed again with the newest, which needs the key itself.
        """
        hashes = {version: self._hash(license_key, version) for version in self._peppers}
        row = await self._database.fetch_one(AUTHENTICATE, list(hashes.values()))
        if row is None:
            return None
        newest = max(hashes)
        if row["pepper_version"] < newest:
            await self._database.fetch_one(_RESTORE, row["id"], hashes[newest], newest)
        return ShownKey(Client(row["user_id"], row["client_name"], row["license_key_name"]), row["id"])

    async def is_valid(self, client: Client, number: int) -> bool:
        """Return True when a user's key of this number is neither expired nor revoked."""
        return await self._database.fetch_one(_FIND_VALID, client.user_id, number) is not None

    async def describe(self, license_key: str) -> LicenseKey | None:
        """Return the description of a valid key; None for an unknown, expired or revoked one."""
        row = await self._database.fetch_one(_FIND_KEY, [self._hash(license_key, version) for version in self._peppers])
        return LicenseKey(*row.values()) if row else None

    async def find_client(self, client_name: str, license_key_name: str) -> Client:
        """Return the user of these names.

        Raises:
            UnknownClientError: there is no such user, or it has no valid key.
        """
        async with self._database.transaction() as connection:
            user_id = await find_holder(connection, client_name, license_key_name)
        return Client(user_id, client_name, license_key_name)

    async def find_by_client(self, client_name: str) -> list[LicenseKey]:
        """Return all keys that a client ever had, by licenseKeyName and age."""
        rows = await self._database.fetch(_FIND_BY_CLIENT, client_name)
        return [LicenseKey(*row.values()) for row in rows]

    async def rotate(self, client_name: str, license_key_name: str, *, actor: str, overlap: timedelta = OVERLAP) -> str:
        """Replace the keys of a user and return the new one, which is stored nowhere. Grants stay.

        Args:
            client_name: as registered.
            license_key_name: as registered.
            actor: as in an audit entry.
            overlap: how long the old keys still work; one that ends earlier keeps its end.

        Raises:
            UnknownClientError: there is no such user, or all its keys are revoked.
        """
        async with self._database.transaction() as connection:
            user_id = await find_user(connection, client_name, license_key_name)
            # A rotation or revocation at the same time waits here; only after that the second look is reliable.
            await connection.fetch(_LOCK_KEYS, user_id)
            await find_holder(connection, client_name, license_key_name)
            await connection.execute(_END_OLD_KEYS, user_id, overlap)
            license_key = await self._new_key(connection, user_id)
            await record_action(
                connection,
                actor=actor,
                action=Action.ROTATE,
                subject=f"user/{user_id}",
                detail={"overlap_seconds": int(overlap.total_seconds())},
            )
        return license_key

    async def add(self, client: Client, *, shown: int, actor: str) -> str:
        """Make one more key of a user and return it, stored nowhere. The others stay valid until they are revoked.

        Args:
            client: the user.
            shown: number of the key by which the user asks.
            actor: as in an audit entry.

        Raises:
            ExhaustError: AUTHORIZATION_FAILED when the key that was shown is being replaced; INVALID_DATA_ERROR with
                status 409 when the user has MOST_VALID_KEYS already.
        """
        async with self._database.transaction() as connection:
            await connection.fetch(_LOCK_KEYS, client.user_id)  # of two at once, the second counts the first's key
            await _require_lasting(connection, client.user_id, shown)
            row = await connection.fetch_one(_COUNT_VALID, client.user_id)
            if row is None or row["valid"] >= MOST_VALID_KEYS:
                raise ExhaustError(
                    ErrorCode.INVALID_DATA_ERROR,
                    f"there are {MOST_VALID_KEYS} valid keys of this name, which is the most; revoke one first",
                    status=409,
                )
            license_key = await self._new_key(connection, client.user_id)
            subject = f"user/{client.user_id}"
            await record_action(connection, actor=actor, action=Action.ROTATE, subject=subject, detail={"added": True})
        return license_key

    async def revoke(
        self,
        client_name: str,
        license_key_name: str,
        *,
        actor: str,
        number: int | None = None,
        shown: int | None = None,
    ) -> int:
        """Revoke keys for good, and return the number of keys that were valid until now.

        Args:
            client_name: as registered.
            license_key_name: as registered.
            actor: as in an audit entry.
            number: the one key to revoke; None for all keys of the user.
            shown: number of the key by which the user asks; None for an operator.

        Raises:
            UnknownClientError: there is no such user.
            ExhaustError: AUTHORIZATION_FAILED when the key that was shown is being replaced.
        """
        async with self._database.transaction() as connection:
            user_id = await find_user(connection, client_name, license_key_name)
            await connection.fetch(_LOCK_KEYS, user_id)  # waits for a rotation that is just making a key
            if shown is not None:
                await _require_lasting(connection, user_id, shown)
            revoked = await connection.execute(_REVOKE, user_id, number)
            if revoked:
                await record_action(
                    connection,
                    actor=actor,
                    action=Action.REVOKE,
                    subject=f"user/{user_id}",
                    detail={"keys": revoked} | ({"number": number} if number is not None else {}),
                )
        return revoked

    async def count_by_pepper(self) -> dict[int, int]:
        """Return the number of valid keys that are hashed with each pepper version."""
        return {row["pepper_version"]: row["keys"] for row in await self._database.fetch(_COUNT_BY_PEPPER)}

    async def _new_key(self, connection: Connection, user_id: int) -> str:
        license_key = str(uuid4())  # 122 random bits
        newest = max(self._peppers)
        await connection.execute(_NEW_KEY, user_id, self._hash(license_key, newest), newest)
        return license_key

    def _hash(self, license_key: str, version: int) -> bytes:
        # surrogatepass: a JSON string may hold lone surrogates, which UTF-8 cannot; such a key is simply wrong.
        return hmac.digest(self._peppers[version], license_key.encode("utf-8", "surrogatepass"), sha256)
