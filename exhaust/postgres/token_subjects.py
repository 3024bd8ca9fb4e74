"""The table of token subjects: the user that the bearer of a token acts as."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from exhaust.domain.text import is_storable_text
from exhaust.postgres.audit import Action, record_action
from exhaust.postgres.license_keys import Client, find_holder

if TYPE_CHECKING:
    from exhaust.postgres.database import Database

_BIND: Final = """
INSERT INTO token_subjects (issuer, subject, user_id) VALUES ($1, $2, $3)
ON CONFLICT (issuer, subject) DO UPDATE SET user_id = EXCLUDED.user_id
"""
_UNBIND: Final = "DELETE FROM token_subjects WHERE issuer = $1 AND subject = $2 RETURNING user_id"
_FIND_CLIENT: Final = """
SELECT k.user_id, k.client_name, k.license_key_name FROM token_subjects s JOIN valid_license_keys k USING (user_id)
WHERE s.issuer = $1 AND s.subject = $2 LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class TokenSubject:
    """The `iss` and `sub` of a token."""

    issuer: str
    subject: str


class TokenSubjects:
    """The bindings of token subjects to users in PostgreSQL."""

    def __init__(self, database: Database) -> None:
        """Prepare; the runtime role may only read bindings, the owner of the tables may write them."""
        self._database = database

    async def find_client(self, token: TokenSubject) -> Client | None:
        """Return the user that a subject is bound to; None without a binding, or when the user has no valid key."""
        if not (is_storable_text(token.issuer) and is_storable_text(token.subject)):
            return None
        row = await self._database.fetch_one(_FIND_CLIENT, token.issuer, token.subject)
        return Client(row["user_id"], row["client_name"], row["license_key_name"]) if row else None

    async def bind(self, token: TokenSubject, client_name: str, license_key_name: str, *, actor: str) -> None:
        """Bind a subject to a user, in place of an earlier binding.

        Raises:
            UnknownClientError: there is no such user, or all its keys are revoked.
        """
        async with self._database.transaction() as connection:
            user_id = await find_holder(connection, client_name, license_key_name)
            await connection.execute(_BIND, token.issuer, token.subject, user_id)
            await record_action(
                connection,
                actor=actor,
                action=Action.BIND,
                subject=f"user/{user_id}",
                detail={"issuer": token.issuer, "subject": token.subject},
            )

    async def unbind(self, token: TokenSubject, *, actor: str) -> bool:
        """Remove the binding of a subject; return False when there was none."""
        async with self._database.transaction() as connection:
            row = await connection.fetch_one(_UNBIND, token.issuer, token.subject)
            if row is None:
                return False
            await record_action(
                connection,
                actor=actor,
                action=Action.UNBIND,
                subject=f"user/{row['user_id']}",
                detail={"issuer": token.issuer, "subject": token.subject},
            )
        return True
