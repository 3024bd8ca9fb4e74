"""The keys of archives in the store of downloads."""

from __future__ import annotations

import re
from typing import Final

from exhaust_contract.refusals import RefusalCode, RefusedEventError

MAX_KEY_BYTES: Final = 1024  # of S3, which answers longer ones as if it were out of order
# Names without an empty part, "." or "..", whichever system reads them.
_PLAIN_PATH: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}(?:/[A-Za-z0-9_-][A-Za-z0-9._-]{0,199})*", re.ASCII)


def attempt_prefix(request: str, attempt: int) -> str:
    """Return the prefix of all keys of an attempt at a request; it ends in a slash."""
    return f"requests/{request}/attempt-{attempt}/"


def path_within_attempt(request: str, attempt: int, key: str) -> str:
    """Return what follows the prefix of an attempt in a key.

    Args:
        request: its id, in lower case.
        attempt: of the request.
        key: of an archive.

    Raises:
        RefusedEventError: ARCHIVE_OUTSIDE_PREFIX.
    """
    prefix = attempt_prefix(request, attempt)
    if key.startswith(prefix) and len(key) <= MAX_KEY_BYTES and _PLAIN_PATH.fullmatch(key, len(prefix)):
        return key[len(prefix) :]
    raise RefusedEventError(
        RefusalCode.ARCHIVE_OUTSIDE_PREFIX, f"the archive does not lie under {prefix}", "/archive/key"
    )
