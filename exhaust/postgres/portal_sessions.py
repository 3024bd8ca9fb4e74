"""The table of sign-ins at the portal. Times are of the database's clock, and ids are kept as hashes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from exhaust.postgres.audit import Action, record_action
from exhaust.postgres.license_keys import Client

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from exhaust.postgres.database import Database
    from exhaust.postgres.license_keys import ShownKey

MOST_OF_A_USER: Final = 20  # a sign-in beyond them ends the oldest
SWEEP_LIMIT: Final = 100  # expired sessions that one sign-in removes

_OPEN: Final = """
INSERT INTO portal_sessions (id_hash, user_id, key_id, csrf_token, ends_at)
SELECT $1, user_id, id, $4, now() + $5::interval FROM valid_license_keys WHERE user_id = $2 AND id = $3
RETURNING id_hash
"""
_FIND: Final = """
SELECT k.user_id, k.client_name, k.license_key_name, k.id, s.csrf_token, s.ends_at
FROM portal_sessions s JOIN valid_license_keys k ON k.id = s.key_id AND k.user_id = s.user_id
WHERE s.id_hash = $1 AND s.ends_at > now()
"""
_END: Final = "DELETE FROM portal_sessions WHERE id_hash = $1 RETURNING id_hash"
_END_OLDEST: Final = """
WITH old AS MATERIALIZED (
    SELECT id_hash FROM portal_sessions WHERE user_id = $1 ORDER BY made_at DESC OFFSET $2 FOR UPDATE SKIP LOCKED
)
DELETE FROM portal_sessions s USING old WHERE s.id_hash = old.id_hash
"""
_SWEEP: Final = """
WITH old AS MATERIALIZED (
    SELECT id_hash FROM portal_sessions WHERE ends_at <= now() ORDER BY ends_at LIMIT $1 FOR UPDATE SKIP LOCKED
)
DELETE FROM portal_sessions s USING old WHERE s.id_hash = old.id_hash
"""


@dataclass(frozen=True, slots=True)
class PortalSession:
    """A sign-in that is in force.

    Attributes:
        client: who has signed in.
        key_number: of the license key that was shown.
        csrf_token: that every form of this session holds.
    """

    client: Client
    key_number: int
    csrf_token: str
    ends_at: datetime


async def open_portal_session(
    database: Database, key: ShownKey, *, id_hash: bytes, csrf_token: str, lifetime: timedelta
) -> bool:
    """Keep a new session, and remove some that have expired; return False when the key was revoked meanwhile."""
    user_id = key.client.user_id
    async with database.transaction() as connection:
        await connection.execute(_SWEEP, SWEEP_LIMIT)
        await connection.execute(_END_OLDEST, user_id, MOST_OF_A_USER - 1)
        if not await connection.execute(_OPEN, id_hash, user_id, key.number, csrf_token, lifetime):
            return False
        await record_action(
            connection,
            actor=f"user/{user_id}",
            action=Action.SIGN_IN,
            subject=f"user/{user_id}",
            detail={"number": key.number},
        )
    return True


async def find_portal_session(database: Database, id_hash: bytes) -> PortalSession | None:
    """Return a session that has neither ended nor lost its license key."""
    row = await database.fetch_one(_FIND, id_hash)
    if row is None:
        return None
    client = Client(row["user_id"], row["client_name"], row["license_key_name"])
    return PortalSession(client, row["id"], row["csrf_token"], row["ends_at"])


async def end_portal_session(database: Database, id_hash: bytes) -> None:
    """Remove a session, if there is one."""
    await database.fetch_one(_END, id_hash)
