"""The headers and directories of the zip format, as bytes.

Section numbers are those of APPNOTE.TXT 6.3.10, the format's specification. Nothing here depends on the host or on the
clock: times are midnight of a day, and every member is a regular unix file that all may read.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from datetime import date
from enum import IntEnum
from typing import Final

SIZE_LIMIT: Final = 0xFFFF_FFFF  # sizes and offsets from here on need zip64; the value itself is its mark (4.3.9.2)
COUNT_LIMIT: Final = 0xFFFF  # numbers of members from here on need zip64 (4.4.1.4)

_LOCAL_HEADER: Final = struct.Struct("<4s5H3L2H")  # 4.3.7
_DESCRIPTOR: Final = struct.Struct("<4s3L")  # 4.3.9
_DESCRIPTOR_ZIP64: Final = struct.Struct("<4sL2Q")  # 4.3.9.2
_CENTRAL_HEADER: Final = struct.Struct("<4s6H3L5H2L")  # 4.3.12
_END_ZIP64: Final = struct.Struct("<4sQ2H2L4Q")  # 4.3.14
_LOCATOR_ZIP64: Final = struct.Struct("<4sLQL")  # 4.3.15
_END: Final = struct.Struct("<4s4H2LH")  # 4.3.16

_VERSION_STORED: Final = 10  # 4.4.3.2
_VERSION_DEFLATED: Final = 20
_VERSION_ZIP64: Final = 45
_MADE_BY: Final = 3 << 8 | _VERSION_ZIP64  # 4.4.2: unix
_REGULAR_FILE_0644: Final = 0o100644 << 16  # 4.4.15: the unix mode in the upper half
_FLAG_DESCRIPTOR: Final = 1 << 3  # 4.4.4
_FLAG_UTF8: Final = 1 << 11
_EXTRA_ZIP64: Final = 0x0001  # 4.5.3

_FIRST_DAY: Final = date(1980, 1, 1)  # MS-DOS dates count years from 1980 in seven bits (4.4.6)
_LAST_DAY: Final = date(2107, 12, 31)


class Method(IntEnum):
    """The compression method of a member (4.4.5)."""

    STORED = 0
    DEFLATED = 8


@dataclass(frozen=True, slots=True)
class Member:
    """All that is known of a member before its data.

    Attributes:
        name: path in the archive.
        day: its time stamp is midnight of this day; days outside 1980 to 2107 become the nearest that zip can say.
        streamed: checksum and sizes follow the data in a descriptor.
        zip64: sizes have eight bytes in the local header and in the descriptor.
    """

    name: str
    day: date
    method: Method
    streamed: bool
    zip64: bool

    @property
    def flags(self) -> int:
        """General purpose bits (4.4.4)."""
        utf8 = 0 if self.name.isascii() else _FLAG_UTF8
        return utf8 | (_FLAG_DESCRIPTOR if self.streamed else 0)


@dataclass(frozen=True, slots=True)
class Content:
    """The checksum and the sizes of a member's data, in bytes."""

    crc32: int
    compressed_size: int
    size: int

    @property
    def needs_zip64(self) -> bool:
        """True when a size does not fit into four bytes."""
        return max(self.compressed_size, self.size) >= SIZE_LIMIT


_UNKNOWN: Final = Content(0, 0, 0)


def check_fits(member: Member, content: Content) -> None:
    """Check that the member's local header has room for the sizes of its content.

    Raises:
        OverflowError: 4 GiB or more without zip64.
    """
    if content.needs_zip64 and not member.zip64:
        raise OverflowError(
            f"{member.name} of {member.day} has {content.size} bytes, {content.compressed_size} compressed: "
            f"from {SIZE_LIMIT} bytes on a member must be begun with zip64 sizes"
        )


def dos_date(day: date) -> int:
    """Return the day in MS-DOS's form (4.4.6). The time is always 0, midnight."""
    day = min(max(day, _FIRST_DAY), _LAST_DAY)
    return (day.year - _FIRST_DAY.year) << 9 | day.month << 5 | day.day


def local_header(member: Member, content: Content | None = None) -> bytes:
    """Return the local file header (4.3.7), which stands before the member's data.

    Args:
        member: what to announce.
        content: checksum and sizes; None exactly when the member is streamed.

    Raises:
        OverflowError: the content does not fit, see check_fits.
    """
    known = content or _UNKNOWN
    check_fits(member, known)
    extra = _zip64_extra(known.size, known.compressed_size) if member.zip64 else b""
    name = member.name.encode()
    header = _LOCAL_HEADER.pack(
        b"PK\x03\x04",
        _version_needed(member, zip64=member.zip64),
        member.flags,
        member.method,
        0,
        dos_date(member.day),
        known.crc32,
        SIZE_LIMIT if member.zip64 else known.compressed_size,
        SIZE_LIMIT if member.zip64 else known.size,
        len(name),
        len(extra),
    )
    return header + name + extra


def data_descriptor(member: Member, content: Content) -> bytes:
    """Return the data descriptor (4.3.9), which stands behind the data of a streamed member.

    Raises:
        OverflowError: the content does not fit, see check_fits.
    """
    check_fits(member, content)
    layout = _DESCRIPTOR_ZIP64 if member.zip64 else _DESCRIPTOR
    return layout.pack(b"PK\x07\x08", content.crc32, content.compressed_size, content.size)


def central_header(member: Member, content: Content, offset: int) -> bytes:
    """Return the member's entry in the central directory (4.3.12).

    Args:
        member: as in its local header.
        content: of its data.
        offset: bytes of the archive before its local header.

    Raises:
        OverflowError: the content does not fit, see check_fits.
    """
    check_fits(member, content)
    sizes = (content.size, content.compressed_size) if content.needs_zip64 else ()
    far = (offset,) if offset >= SIZE_LIMIT else ()
    extra = _zip64_extra(*sizes, *far) if sizes or far else b""
    name = member.name.encode()
    header = _CENTRAL_HEADER.pack(
        b"PK\x01\x02",
        _MADE_BY,
        _version_needed(member, zip64=member.zip64 or bool(extra)),
        member.flags,
        member.method,
        0,
        dos_date(member.day),
        content.crc32,
        SIZE_LIMIT if sizes else content.compressed_size,
        SIZE_LIMIT if sizes else content.size,
        len(name),
        len(extra),
        0,
        0,
        0,
        _REGULAR_FILE_0644,
        SIZE_LIMIT if far else offset,
    )
    return header + name + extra


def end_of_archive(count: int, directory_size: int, directory_offset: int) -> bytes:
    """Return the end of an archive: the end of central directory record (4.3.16), behind its zip64 form if needed.

    Args:
        count: members of the archive.
        directory_size: bytes of all central headers.
        directory_offset: bytes of the archive before the first central header.
    """
    end = _END.pack(
        b"PK\x05\x06",
        0,
        0,
        min(count, COUNT_LIMIT),
        min(count, COUNT_LIMIT),
        min(directory_size, SIZE_LIMIT),
        min(directory_offset, SIZE_LIMIT),
        0,
    )
    if count < COUNT_LIMIT and directory_size < SIZE_LIMIT and directory_offset < SIZE_LIMIT:
        return end
    return _end_zip64(count, directory_size, directory_offset) + end


def _end_zip64(count: int, directory_size: int, directory_offset: int) -> bytes:
    """Return the zip64 end of central directory record (4.3.14) and its locator (4.3.15)."""
    record = _END_ZIP64.pack(
        b"PK\x06\x06",
        _END_ZIP64.size - 12,  # the size does not count the signature and itself (4.3.14.1)
        _MADE_BY,
        _VERSION_ZIP64,
        0,
        0,
        count,
        count,
        directory_size,
        directory_offset,
    )
    return record + _LOCATOR_ZIP64.pack(b"PK\x06\x07", 0, directory_offset + directory_size, 1)


def _zip64_extra(*values: int) -> bytes:
    """Return the zip64 extended information (4.5.3): size, compressed size, offset, if their fields are marked."""
    return struct.pack(f"<2H{len(values)}Q", _EXTRA_ZIP64, 8 * len(values), *values)


def _version_needed(member: Member, *, zip64: bool) -> int:
    if zip64:
        return _VERSION_ZIP64
    return _VERSION_DEFLATED if member.method is Method.DEFLATED else _VERSION_STORED
