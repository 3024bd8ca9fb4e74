"""Resource ids: the hash by which the API names a partner or a channel."""

from __future__ import annotations

import hashlib
from typing import Final

_DIGITS: Final = 32


def resource_id(owner: str) -> str:
    """Return the first 32 hex digits of the SHA-1 of the plain id of a partner or a channel."""
    return hashlib.sha1(owner.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()[:_DIGITS]
