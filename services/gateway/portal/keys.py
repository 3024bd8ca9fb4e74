"""The page of license keys: one more is made and shown once, and one is revoked."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from exhaust.errors import ErrorCode, ExhaustError
from exhaust.http.query import check_query
from schemas.operations import Operation
from services.gateway.portal.frame import SESSION, see_other

if TYPE_CHECKING:
    from aiohttp import web

    from exhaust.postgres.license_keys import KeyStore
    from services.gateway.portal.frame import Frame

_QUERY: Final = Operation("/keys", "")
_MOST_DIGITS: Final = 18


class Keys:
    """The keys of the session's client and name."""

    def __init__(self, keys: KeyStore, frame: Frame) -> None:
        self._keys = keys
        self._frame = frame

    async def show(self, request: web.Request) -> web.Response:
        """Answer GET /portal/keys."""
        check_query(request.query, _QUERY)
        return await self._page(request, made="")

    async def make(self, request: web.Request) -> web.Response:
        """Answer POST /portal/keys: make one more key; those before it stay valid until they are revoked."""
        session = request[SESSION]
        made = await self._keys.add(session.client, shown=session.key_number, actor=f"user/{session.client.user_id}")
        return await self._page(request, made=made)

    async def revoke(self, request: web.Request) -> web.Response:
        """Answer POST /portal/keys/{number}/revoke. A key of somebody else is answered like an unknown one."""
        session, text = request[SESSION], request.match_info["number"]
        number = int(text) if text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS else 0
        if number == session.key_number:
            raise ExhaustError(
                ErrorCode.INVALID_DATA_ERROR, "your session ends with this key; sign in with a newer one to revoke it"
            )
        client = session.client
        revoked = await self._keys.revoke(
            client.client_name,
            client.license_key_name,
            actor=f"user/{client.user_id}",
            number=number,
            shown=session.key_number,
        )
        if not revoked:
            raise ExhaustError(ErrorCode.NOT_FOUND, "there is no such key, or it is revoked already")
        return see_other("/keys")

    async def _page(self, request: web.Request, *, made: str) -> web.Response:
        session, now = request[SESSION], datetime.now(UTC)
        every = await self._keys.find_by_client(session.client.client_name)
        own = [key for key in every if key.license_key_name == session.client.license_key_name]
        shown = [(key, key.state(now)) for key in reversed(own)]
        lasts = any(key.number == session.key_number and state == "valid" for key, state in shown)
        return self._frame.page(request, "keys.html", keys=shown, current=session.key_number, made=made, lasts=lasts)
