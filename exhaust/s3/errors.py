"""The errors of single operations, which callers handle."""

from __future__ import annotations

from exhaust.errors import ExhaustError


class ObjectMissingError(Exception):
    """The bucket has no object with this key."""


class ObjectExistsError(Exception):
    """The bucket has an object with this key already, and it was not to be overwritten."""


class NoSuchUploadError(ExhaustError):
    """The store does not know the multipart upload: somebody else aborted it. A new one may succeed."""
