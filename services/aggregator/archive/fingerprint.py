"""The fingerprint of a day archive. Two fingerprints are equal exactly when all that decides the bytes is equal."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import orjson

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exhaust.s3.object_info import ObjectInfo

ARCHIVE_FORMAT_VERSION: Final = 4  # raise it with every change that gives the same sources other bytes
_HEX_DIGITS: Final = 32


@dataclass(frozen=True, slots=True)
class ArchiveBasis:
    """All that decides the bytes of a day archive, beside its source objects.

    Attributes:
        dataset: the dataset's own id, never an alias.
        layout: of the dataset. It decides if lines are selected or objects pass whole.
        event_kinds: eids that are selected; empty means all.
        resource: id in canonical form, so that aliases share archives.
        tags: the filter; order and repetition do not matter.
        default_channel: the channel of events that name none.
        deflater: services.aggregator.archive.deflate.deflater_id().
    """

    dataset: str
    layout: str
    event_kinds: frozenset[str]
    resource: str
    tags: tuple[str, ...]
    default_channel: str
    deflater: str


def day_fingerprint(
    basis: ArchiveBasis, sources: Sequence[ObjectInfo], *, format_version: int = ARCHIVE_FORMAT_VERSION
) -> str:
    """Return the fingerprint of one day of one resource.

    Args:
        basis: the request, and the way in which the archive is written.
        sources: the listing of the day's raw objects; their order does not matter.
        format_version: ARCHIVE_FORMAT_VERSION, or another one to look for older archives.

    Returns:
        The first 128 bits of a SHA-256, as 32 hex digits.
    """
    # JSON quotes every string, so no two inputs look alike, whatever the strings hold.
    decided_by = {
        "format": format_version,
        "dataset": basis.dataset,
        "layout": basis.layout,
        "event_kinds": sorted(basis.event_kinds),
        "resource": basis.resource,
        "tags": sorted(set(basis.tags)),
        "default_channel": basis.default_channel,
        "deflater": basis.deflater,
        "sources": _listing(sources),
    }
    return _fingerprint(decided_by)


def listing_fingerprint(sources: Sequence[ObjectInfo]) -> str:
    """Return the fingerprint of a listing alone, as 32 hex digits; the order of the objects does not matter."""
    return _fingerprint(_listing(sources))


def _listing(sources: Sequence[ObjectInfo]) -> list[tuple[str, str, int]]:
    return sorted((source.key, source.etag, source.size) for source in sources)


def _fingerprint(value: object) -> str:
    return hashlib.sha256(orjson.dumps(value)).hexdigest()[:_HEX_DIGITS]
