"""The fingerprint of a day archive: equal exactly when everything that decides its bytes is equal."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

ARCHIVE_FORMAT_VERSION: Final = 1  # to be raised by every change that gives the same sources other bytes
_HEX_DIGITS: Final = 32


@dataclass(frozen=True, slots=True)
class SourceObject:
    """A raw object as a listing shows it; size in bytes as stored."""

    key: str
    etag: str
    size: int


def day_fingerprint(
    sources: Sequence[SourceObject],
    *,
    resource: str,
    tags: Iterable[str],
    dataset: str,
    format_version: int,
    default_channel: str,
) -> str:
    """The fingerprint of one day of one resource.

    Args:
        sources: the listing of the day's raw objects; their order does not matter.
        resource: id in canonical form, so that aliases share archives.
        tags: the filter; order and repetition do not matter.
        dataset: the dataset's own id, never an alias.
        format_version: ARCHIVE_FORMAT_VERSION, or another one to look for older archives.
        default_channel: the channel of events that name none.

    Returns:
        The first 128 bits of a SHA-256, as 32 hex digits.
    """
    # JSON quotes every string, so no two inputs look alike, whatever the strings hold.
    decided_by = {
        "format": format_version,
        "dataset": dataset,
        "resource": resource,
        "tags": sorted(set(tags)),
        "default_channel": default_channel,
        "sources": sorted((source.key, source.etag, source.size) for source in sources),
    }
    return hashlib.sha256(orjson.dumps(decided_by)).hexdigest()[:_HEX_DIGITS]
