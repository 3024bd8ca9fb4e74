"""The table of sign-ins at the portal. Times are of the database's clock, and ids are kept as hashes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

from exhaust.postgres.audit import Action, record_action
from exhaust.postgres.license_keys import Client

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from exhaust.postgres.database import Database
    from exhaust.postgres.token_subjects import TokenSubject

MOST_OF_A_USER: Final = 20  # a sign-in beyond them ends the oldest
SWEEP_LIMIT: Final = 100  # expired sessions that one sign-in removes

_OPEN: Final = """
INSERT INTO portal_sessions (id_hash, user_id, key_id, csrf_token, ends_at)
SELECT $1, user_id, id, $4, now() + $5::interval FROM valid_license_keys WHERE user_id = $2 AND id = $3
RETURNING id_hash
"""
_OPEN_FOR_SUBJECT: Final = """
INSERT INTO portal_sessions (id_hash, user_id, key_id, issuer, subject, csrf_token, ends_at)
SELECT $1, b.user_id, k.id, b.issuer, b.subject, $5, now() + $6::interval
FROM token_subjects b JOIN valid_license_keys k ON k.user_id = b.user_id
WHERE b.user_id = $2 AND b.issuer = $3 AND b.subject = $4
ORDER BY k.id DESC LIMIT 1
RETURNING id_hash
"""
_FIND: Final = """
SELECT k.user_id, k.client_name, k.license_key_name, k.id, s.csrf_token, s.ends_at
FROM portal_sessions s JOIN valid_license_keys k ON k.id = s.key_id AND k.user_id = s.user_id
WHERE s.id_hash = $1 AND s.ends_at > now() AND (s.issuer IS NULL OR EXISTS (
    SELECT FROM token_subjects b WHERE (b.issuer, b.subject, b.user_id) = (s.issuer, s.subject, s.user_id)
))
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
        key_number: of the license key that was shown; for whoever signed in at an issuer, of the holder's newest.
        csrf_token: that every form of this session holds.
    """

    client: Client
    key_number: int
    csrf_token: str
    ends_at: datetime


async def open_portal_session(
    database: Database,
    user_id: int,
    shown: int | TokenSubject,
    *,
    id_hash: bytes,
    csrf_token: str,
    lifetime: timedelta,
) -> bool:
    """Keep a new session, and remove some that have expired.

    Args:
        database: the gateway's.
        user_id: whose session it is.
        shown: by what it was opened: the number of a license key, or the subject of a token.
        id_hash: of the session's id.
        csrf_token: that its forms hold.
        lifetime: of the session.

    Returns:
        False when the key was revoked meanwhile, or the subject is no longer bound.
    """
    by: dict[str, object] = {"number": shown} if isinstance(shown, int) else asdict(shown)
    statement = _OPEN if isinstance(shown, int) else _OPEN_FOR_SUBJECT
    async with database.transaction() as connection:
        await connection.execute(_SWEEP, SWEEP_LIMIT)
        await connection.execute(_END_OLDEST, user_id, MOST_OF_A_USER - 1)
        if not await connection.execute(statement, id_hash, user_id, *by.values(), csrf_token, lifetime):
            return False
        await record_action(
            connection,
            actor=f"user/{user_id}",
            action=Action.SIGN_IN,
            subject=f"user/{user_id}",
            detail=by,
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
