"""The sessions of the portal: who has signed in, for eight hours, in PostgreSQL."""

from __future__ import annotations

import hmac
import secrets
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from exhaust.errors import ErrorCode, ExhaustError
from exhaust.postgres.portal_sessions import end_portal_session, find_portal_session, open_portal_session
from services.gateway.portal.cookies import LIFETIME

if TYPE_CHECKING:
    from exhaust.postgres.database import Database
    from exhaust.postgres.license_keys import Client, KeyStore
    from exhaust.postgres.portal_sessions import PortalSession
    from exhaust.postgres.token_subjects import TokenSubject, TokenSubjects

_ID_BYTES: Final = 32
_MOST_CHARACTERS: Final = 256  # of a license key; a longer one is none


class Sessions:
    """Opens, finds and ends sessions."""

    def __init__(self, database: Database, keys: KeyStore, subjects: TokenSubjects) -> None:
        self._database = database
        self._keys = keys
        self._subjects = subjects

    async def open(self, license_key: str) -> str:
        """Return the id of a new session of a license key's holder.

        Raises:
            ExhaustError: LOGIN_FAILED, the same for an unknown, expired or revoked key.
        """
        shown = await self._keys.find_key(license_key) if 0 < len(license_key) <= _MOST_CHARACTERS else None
        session_id = await self._open(shown.client, shown.number) if shown else ""
        if not session_id:
            raise ExhaustError(
                ErrorCode.LOGIN_FAILED, "this is no valid license key; check it, or ask the operator for a new one"
            )
        return session_id

    async def open_for_subject(self, subject: TokenSubject) -> str:
        """Return the id of a new session of the holder of license keys that a token's subject is bound to.

        Raises:
            ExhaustError: LOGIN_FAILED when it is bound to nobody, or the holder has no valid key left.
        """
        client = await self._subjects.find_client(subject)
        session_id = await self._open(client, subject) if client else ""
        if not session_id:
            raise ExhaustError(
                ErrorCode.LOGIN_FAILED,
                f"you are known at {subject.issuer}, and not here yet; ask the operator to bind the subject "
                f"{subject.subject} to your license key",
            )
        return session_id

    async def _open(self, client: Client, shown: int | TokenSubject) -> str:
        session_id, csrf_token = secrets.token_urlsafe(_ID_BYTES), secrets.token_urlsafe(_ID_BYTES)
        opened = await open_portal_session(
            self._database, client.user_id, shown, id_hash=_hash(session_id), csrf_token=csrf_token, lifetime=LIFETIME
        )
        return session_id if opened else ""

    async def find(self, session_id: str) -> PortalSession | None:
        """Return the session of an id; None when it has ended, also because its license key was revoked."""
        return await find_portal_session(self._database, _hash(session_id)) if session_id else None

    async def end(self, session_id: str) -> None:
        """End a session, if there is one."""
        if session_id:
            await end_portal_session(self._database, _hash(session_id))


def check_csrf_token(session: PortalSession, given: str) -> None:
    """Check that a form comes from a page of this session.

    Raises:
        ExhaustError: AUTHORIZATION_FAILED.
    """
    if not hmac.compare_digest(given.encode(errors="replace"), session.csrf_token.encode()):
        raise ExhaustError(
            ErrorCode.AUTHORIZATION_FAILED, "the form is not one of yours; load its page again, and send it from there"
        )


def _hash(session_id: str) -> bytes:
    return sha256(session_id.encode(errors="replace")).digest()
