"""Which user the subject of a token stands for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from exhaust.postgres.audit import Action, record_action
from exhaust.postgres.license_keys import find_holder

if TYPE_CHECKING:
    from exhaust.postgres.database import Database

_BIND: Final = """
INSERT INTO token_subjects (issuer, subject, user_id) VALUES ($1, $2, $3)
ON CONFLICT (issuer, subject) DO UPDATE SET user_id = EXCLUDED.user_id
"""
_UNBIND: Final = "DELETE FROM token_subjects WHERE issuer = $1 AND subject = $2 RETURNING user_id"


@dataclass(frozen=True, slots=True)
class TokenSubject:
    """The `iss` and `sub` of a token."""

    issuer: str
    subject: str


class TokenSubjects:
    """The bindings in PostgreSQL. KeyStore.by_subject reads them."""

    def __init__(self, database: Database) -> None:
        """Prepare; the database is the owner's, for no service writes bindings."""
        self._database = database

    async def bind(self, token: TokenSubject, client_name: str, license_key_name: str, *, actor: str) -> None:
        """Let a subject act as a user; one that is bound already is bound anew.

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
        """Let a subject act for nobody; whether it was bound."""
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
