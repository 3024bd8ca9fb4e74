"""Resource ids: the short hash by which the API names a partner or a channel."""

import hashlib
import re
from functools import lru_cache
from typing import Final

_ID_DIGITS: Final = 32
_SHA1_DIGITS: Final = 40
_HEX_ID: Final = re.compile(rf"[0-9a-fA-F]{{{_ID_DIGITS},{_SHA1_DIGITS}}}")

# Real ids have some 20 to 60 characters. Longer ones come from damaged lines and would only fill the cache.
_LONGEST_CACHED_OWNER: Final = 256
_CACHED_OWNERS: Final = 8192


def resource_id(owner: str) -> str:
    """Return the resource id of a partner or a channel.

    Args:
        owner: the id as it is written in events; any string, lone surrogates included.

    Returns:
        The first 32 hex digits (128 bits), in lower case, of the SHA-1 of the id in UTF-8.
    """
    return _hash_once(owner) if len(owner) <= _LONGEST_CACHED_OWNER else _hash(owner)


def canonical_resource_id(text: str) -> str:
    """Return the one form under which a resource id is compared.

    The full SHA-1 of an id is an alias of its first 32 digits. Some programs drop the leading zeros of the full form,
    so 33 to 40 hex digits are a full SHA-1 that lost them. Exactly 32 digits are always the short form.

    Args:
        text: a resource id as a caller or an event wrote it.

    Returns:
        32 hex digits in lower case when `text` is 32 to 40 hex digits, else `text` unchanged: it is opaque.
    """
    if _HEX_ID.fullmatch(text) is None:
        return text
    digits = text.lower()
    return digits if len(digits) == _ID_DIGITS else digits.zfill(_SHA1_DIGITS)[:_ID_DIGITS]


def is_resource_hash(text: str) -> bool:
    """Return True for a text in a form of a resource id that is a hash: 32 to 40 hex digits."""
    return _HEX_ID.fullmatch(text) is not None


def _hash(owner: str) -> str:
    # JSON may hold half of a surrogate pair, which strict UTF-8 refuses.
    data = owner.encode("utf-8", "surrogatepass")
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()[:_ID_DIGITS]


_hash_once = lru_cache(maxsize=_CACHED_OWNERS)(_hash)
