"""The zip of one day: a deflated member for each source object, written as a stream."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from isal import isal_zlib

from services.aggregator.archive.member_names import check_member_name
from services.aggregator.archive.zip_format import (
    Member,
    Method,
    central_header,
    check_fits,
    data_descriptor,
    end_of_archive,
    local_header,
)

if TYPE_CHECKING:
    from datetime import date

    from services.aggregator.archive.zip_format import Content


@dataclass(slots=True)
class _OpenMember:
    """A member whose bytes are being written."""

    member: Member
    offset: int
    announced: Content | None
    written: int = 0


class DayArchiveWriter:
    """The writer of one day's zip. Each call returns the next bytes of the zip; the caller joins them.

    Members are written one after another: begin_member, add as often as needed, end_member; finish closes the
    archive. Members arrive deflated: made by DeflatedMember, or taken as they are from a gzip object. The bytes depend
    on the day, the members' names, their data and how each is begun, not on how the data is cut.
    A call in the wrong order raises RuntimeError. After an OverflowError the archive cannot be used.

    Args:
        day: the time stamp of every member, at midnight.

    Attributes:
        size: bytes returned so far; of the whole archive after finish.
        crc32: CRC-32 of the same bytes.
    """

    def __init__(self, day: date) -> None:
        self.size = 0
        self.crc32 = 0
        self._sha256 = hashlib.sha256()
        self._day = day
        self._names: set[str] = set()
        self._directory = bytearray()
        self._open: _OpenMember | None = None
        self._ended_by: str | None = None

    @property
    def sha256(self) -> str:
        """SHA-256 of the bytes returned so far, 64 hex digits."""
        return self._sha256.hexdigest()

    def begin_member(self, name: str, content: Content | None = None, *, large: bool = False) -> bytes:
        """Begin a member; return its local header.

        Args:
            name: path in the archive, see check_member_name; every name once.
            content: its checksum and sizes; None when they follow the data in a descriptor.
            large: without content, the sizes get eight bytes, which a member from 4 GiB on needs, before or after
                compression. Readers that go from front to back refuse eight bytes for a smaller one.

        Raises:
            ValueError: the name is not allowed or is taken.
            RuntimeError: a member is open, or the archive is finished.
        """
        self._expect_no_member("begin_member")
        check_member_name(name)
        if name in self._names:
            raise ValueError(f"member name {name!r} is already in the archive")
        self._names.add(name)
        zip64 = large if content is None else content.needs_zip64
        member = Member(name, self._day, Method.DEFLATED, streamed=content is None, zip64=zip64)
        self._open = _OpenMember(member, self.size, content)
        return self._emit(local_header(member, content))

    def add(self, deflated: bytes) -> bytes:
        """Add bytes of the open member's raw deflate stream (RFC 1951), and return them.

        Raises:
            RuntimeError: no member is open.
        """
        self._expect_member("add").written += len(deflated)
        return self._emit(deflated)

    def end_member(self, content: Content) -> bytes:
        """End the open member; return its data descriptor, which is empty when it was begun with its content.

        Args:
            content: checksum and sizes of what was added.

        Raises:
            OverflowError: the member reaches 4 GiB, and was not begun as large.
            ValueError: the compressed size is not that of what was added, or the member was begun with other content.
            RuntimeError: no member is open.
        """
        current = self._expect_member("end_member")
        if content.compressed_size != current.written:
            raise ValueError(f"{current.member.name!r} has {current.written} bytes, not {content.compressed_size}")
        if current.announced not in {None, content}:
            raise ValueError(f"{current.member.name!r} was begun with other content than it has")
        try:
            check_fits(current.member, content)
        except OverflowError:
            self._ended_by = f"member {current.member.name!r} was too large"
            raise
        self._directory += central_header(current.member, content, current.offset)
        self._open = None
        return self._emit(data_descriptor(current.member, content) if current.member.streamed else b"")

    def finish(self) -> bytes:
        """Close the archive; return its central directory.

        Raises:
            RuntimeError: a member is open, or the archive is finished.
        """
        self._expect_no_member("finish")
        self._ended_by = "the archive is finished"
        end = end_of_archive(len(self._names), len(self._directory), self.size)
        return self._emit(bytes(self._directory) + end)

    def _emit(self, data: bytes) -> bytes:
        """Count bytes, and return them."""
        self.size += len(data)
        self.crc32 = isal_zlib.crc32(data, self.crc32)
        self._sha256.update(data)
        return data

    def _expect_member(self, call: str) -> _OpenMember:
        self._expect_usable(call)
        if self._open is None:
            raise RuntimeError(f"{call}: no member is open, call begin_member first")
        return self._open

    def _expect_no_member(self, call: str) -> None:
        self._expect_usable(call)
        if self._open is not None:
            raise RuntimeError(f"{call}: member {self._open.member.name!r} is open, call end_member first")

    def _expect_usable(self, call: str) -> None:
        if self._ended_by is not None:
            raise RuntimeError(f"{call}: {self._ended_by}, begin a new one")
