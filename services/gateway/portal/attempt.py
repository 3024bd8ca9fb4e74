"""An attempt to sign in at an issuer: its state, its nonce, and the code verifier of PKCE."""

from __future__ import annotations

import hmac
import secrets
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

_SECRET_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to sign in. All that belongs to it follows from one secret, which only the browser's cookie holds."""

    secret: str

    @classmethod
    def begin(cls) -> Attempt:
        """Return a new one."""
        return cls(secrets.token_urlsafe(_SECRET_BYTES))

    @property
    def state(self) -> str:
        """What the issuer gives back, so that nobody brings a browser the code of another attempt."""
        return self._derived(b"state")

    @property
    def nonce(self) -> str:
        """What the token must hold, so that no token of another attempt counts."""
        return self._derived(b"nonce")

    @property
    def verifier(self) -> str:
        """The code verifier of PKCE, without which nobody can use the code."""
        return self._derived(b"verifier")

    @property
    def challenge(self) -> str:
        """The hash of the verifier, which the issuer is told first."""
        return _base64url(sha256(self.verifier.encode()).digest())

    def _derived(self, purpose: bytes) -> str:
        return _base64url(hmac.digest(self.secret.encode(errors="replace"), purpose, "sha256"))


def _base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
