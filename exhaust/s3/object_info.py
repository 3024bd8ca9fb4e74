"""The facts of an object that a listing shows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """An object of the store. Other content has another ETag.

    Attributes:
        key: its name in the bucket.
        etag: without quotes.
        size: in bytes, as stored.
        modified_at: when it was written, if the store told it; it does not tell objects apart.
    """

    key: str
    etag: str
    size: int
    modified_at: datetime | None = field(default=None, compare=False)
