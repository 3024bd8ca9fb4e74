"""An object of the store, as a listing shows it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """Key, ETag without quotes, and size in bytes as stored. Another content has another ETag."""

    key: str
    etag: str
    size: int
