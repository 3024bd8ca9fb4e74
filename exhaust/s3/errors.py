"""What the store's answers mean to a caller beside "try again later"."""

from __future__ import annotations

from exhaust.errors import ExhaustError


class ObjectMissingError(Exception):
    """There is no object with this key."""


class ObjectExistsError(Exception):
    """An object with this key exists and was to stay."""


class NoSuchUploadError(ExhaustError):
    """Somebody else aborted the multipart upload; it may be begun again."""
