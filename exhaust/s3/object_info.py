"""The facts of an object that a listing shows."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """An object of the store. Other content has another ETag.

    Attributes:
        key: its name in the bucket.
        etag: without quotes.
        size: in bytes, as stored.
    """

    key: str
    etag: str
    size: int
