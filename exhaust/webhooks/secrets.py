"""The secrets of webhooks: made, sealed for the database, and opened to sign.

Whoever delivers has to have the secret itself, so a hash of it would not do. It is stored under AES-256-GCM, with keys
that the services alone have, and bound to its webhook: a copy of the table gives nobody a signature.
"""

from __future__ import annotations

import os
from base64 import b64encode
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from exhaust.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from pydantic import SecretStr

SECRET_BYTES: Final = 32
PREFIX: Final = "whsec_"
_NONCE_BYTES: Final = 12
_VERSION_BYTES: Final = 4


def new_secret() -> bytes:
    """Return a new random secret."""
    return os.urandom(SECRET_BYTES)


def written_secret(secret: bytes) -> str:
    """Return a secret as its owner gets it, once."""
    return f"{PREFIX}{b64encode(secret).decode()}"


class SecretSeal:
    """Seals the secrets of webhooks, and opens them."""

    def __init__(self, keys: Mapping[int, SecretStr]) -> None:
        """Prepare.

        Args:
            keys: by version, of which there is at least one; the highest seals.
        """
        self._ciphers = {version: AESGCM(_derived(key)) for version, key in keys.items()}
        self._newest = max(keys)

    def seal(self, secret: bytes, webhook_id: UUID) -> bytes:
        """Return the sealed secret of a webhook."""
        nonce = os.urandom(_NONCE_BYTES)
        version = self._newest.to_bytes(_VERSION_BYTES, "big")
        return version + nonce + self._ciphers[self._newest].encrypt(nonce, secret, version + webhook_id.bytes)

    def open(self, sealed: bytes, webhook_id: UUID) -> bytes:
        """Return the secret of a webhook.

        Raises:
            ConfigurationError: it is sealed with a key that is not there any more, or is not this webhook's.
        """
        version, rest = sealed[:_VERSION_BYTES], sealed[_VERSION_BYTES:]
        cipher = self._ciphers.get(int.from_bytes(version, "big"))
        if cipher is None:
            raise ConfigurationError("EXHAUST_WEBHOOK_KEYS lacks the key of a webhook's secret; put it back")
        try:
            return cipher.decrypt(rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], version + webhook_id.bytes)
        except InvalidTag as error:
            raise ConfigurationError("EXHAUST_WEBHOOK_KEYS does not open the secret of a webhook") from error


def _derived(key: SecretStr) -> bytes:
    return HKDF(SHA256(), SECRET_BYTES, salt=None, info=b"secrets of webhooks").derive(key.get_secret_value().encode())
