"""Protection of forms against foreign pages, which can let a browser send what its owner did not mean.

A token is bound to its person and to the nonce in the person's cookie, which browsers send along with nothing that
comes from elsewhere (SameSite=Strict). A caller who shows a bearer token needs neither: no browser adds one by itself.
"""

from __future__ import annotations

import base64
import hmac
import secrets
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from exhaust.errors import ErrorCode, ExhaustError

if TYPE_CHECKING:
    from collections.abc import Callable

    from services.console.roles import Caller

COOKIE: Final = "exhaust-console"
FIELD: Final = "csrf_token"
HEADER: Final = "X-CSRF-Token"
VALID_FOR: Final = timedelta(hours=12)  # a form that stays open over a shift
_KEY_BYTES: Final = 32


class Csrf:
    """Gives tokens to forms, and checks them."""

    def __init__(self, key: bytes | None, clock: Callable[[], float] = time.time) -> None:
        """Prepare.

        Args:
            key: the same for all consoles behind one address; None makes one, and forms end with the process.
            clock: seconds since 1970.
        """
        self._key = key or secrets.token_bytes(_KEY_BYTES)
        self._clock = clock

    def nonce(self, caller: Caller) -> str:
        """Return the nonce for a caller's cookie.

        It stays the same for a person: a browser that comes by a link from elsewhere does not send the cookie, and a
        new one would end the forms in its other tabs.
        """
        return self._sign("nonce", caller, "")

    def token(self, caller: Caller, nonce: str) -> str:
        """Return the token for a caller's forms."""
        until = str(int(self._clock() + VALID_FOR.total_seconds()))
        return f"{until}.{self._sign(until, caller, nonce)}"

    def check(self, caller: Caller, nonce: str, token: str) -> None:
        """Check a token.

        Raises:
            ExhaustError: AUTHORIZATION_FAILED.
        """
        until, _, signature = token.partition(".")
        expected = self._sign(until, caller, nonce)
        if not nonce or not hmac.compare_digest(signature.encode(errors="replace"), expected.encode()):
            raise _refused("the form is not one of yours; load its page again, and send it from there")
        if int(until) < self._clock():
            raise _refused("the form is too old; load its page again, and send it from there")

    def _sign(self, what: str, caller: Caller, nonce: str) -> str:
        # No part holds a NUL: names are printable.
        text = f"{what}\0{caller.told_by}\0{caller.name}\0{nonce}"
        digest = hmac.digest(self._key, text.encode(errors="surrogateescape"), "sha256")
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _refused(message: str) -> ExhaustError:
    return ExhaustError(ErrorCode.AUTHORIZATION_FAILED, message)
