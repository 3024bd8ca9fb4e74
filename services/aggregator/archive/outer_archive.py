"""The outer archive, which a partner downloads: one stored zip per day, then the manifest.

Nothing is compressed again, and every size is known before the first byte is sent. So the archive is a list of
segments: whole objects of the bucket, and bytes that are made here. The object of a day archive begins with its local
header as a member, so that nothing has to stand between two days, and the store can join them by copies.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import TYPE_CHECKING

from isal import isal_zlib

from services.aggregator.archive.member_names import MANIFEST_NAME
from services.aggregator.archive.zip_format import (
    Content,
    Member,
    Method,
    central_header,
    end_of_archive,
    local_header,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class StoredDay:
    """A finished day archive in the bucket.

    Attributes:
        key: of its object, which holds the header and the archive.
        size: bytes of the archive alone.
        crc32: of the archive alone.
    """

    day: date
    key: str
    size: int
    crc32: int

    @property
    def header(self) -> bytes:
        """The local header that the archive has as a member of a download."""
        return local_header(*_stored(f"{self.day.isoformat()}.zip", self.day, self.size, self.crc32))


@dataclass(frozen=True, slots=True)
class Literal:
    """Bytes of the outer archive that are made here."""

    data: bytes


@dataclass(frozen=True, slots=True)
class CopiedObject:
    """Bytes of the outer archive that are a whole object of the bucket."""

    key: str
    size: int


Segment = Literal | CopiedObject


def outer_segments(days: Sequence[StoredDay], manifest: bytes) -> list[Segment]:
    """Return the segments of the outer archive of some days.

    Args:
        days: in any order, each day once; the archive has them in the order of time.
        manifest: what manifest.json shall hold.

    Returns:
        The archive's bytes from the first to the last: the days' objects, then a literal.

    Raises:
        ValueError: a day comes twice.
    """
    ordered = sorted(days, key=lambda stored: stored.day)
    for earlier, later in pairwise(ordered):
        if earlier.day == later.day:
            raise ValueError(f"{later.day} comes twice: {earlier.key} and {later.key}")
    segments: list[Segment] = []
    directory = b""
    offset = 0
    for stored in ordered:
        member, content = _stored(f"{stored.day.isoformat()}.zip", stored.day, stored.size, stored.crc32)
        size = len(stored.header) + stored.size
        segments.append(CopiedObject(stored.key, size))
        directory += central_header(member, content, offset)
        offset += size
    return [*segments, Literal(_closing(ordered, manifest, directory, offset))]


def outer_size(segments: Sequence[Segment]) -> int:
    """Return the length of the outer archive in bytes."""
    return sum(segment.size if isinstance(segment, CopiedObject) else len(segment.data) for segment in segments)


def outer_digest(segments: Sequence[Segment], day_digests: Mapping[str, str]) -> str:
    """Return a digest of the outer archive without reading it. Digests are equal exactly when the archives are.

    Args:
        segments: of the archive.
        day_digests: for the key of every copied object, the SHA-256 of the day archive in it, in hex.

    Returns:
        64 hex digits: the SHA-256 of the literals as they are and, in place of each object, that of its day archive. It
        is not the SHA-256 of the download, which could only be had by reading it all again.
    """
    digest = hashlib.sha256()
    for segment in segments:
        digest.update(
            segment.data if isinstance(segment, Literal) else f"{day_digests[segment.key]} {segment.size}".encode()
        )
    return digest.hexdigest()


def _closing(ordered: Sequence[StoredDay], manifest: bytes, directory: bytes, offset: int) -> bytes:
    """Return the bytes behind the last day: the manifest, the central directory and the end records."""
    day = ordered[-1].day if ordered else date.min
    member, content = _stored(MANIFEST_NAME, day, len(manifest), isal_zlib.crc32(manifest))
    file = local_header(member, content) + manifest
    directory += central_header(member, content, offset)
    return file + directory + end_of_archive(len(ordered) + 1, len(directory), offset + len(file))


def _stored(name: str, day: date, size: int, crc32: int) -> tuple[Member, Content]:
    content = Content(crc32, size, size)
    return Member(name, day, Method.STORED, streamed=False, zip64=content.needs_zip64), content
