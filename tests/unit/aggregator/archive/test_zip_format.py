from __future__ import annotations

import io
import struct
import zipfile
from datetime import date

import pytest

from services.aggregator.archive.zip_format import (
    Content,
    Member,
    Method,
    central_header,
    data_descriptor,
    dos_date,
    end_of_archive,
    local_header,
)

DAY = date(2026, 11, 1)
FOUR_GIB = 2**32
SMALL = Content(crc32=0xCAFE_F00D, compressed_size=7, size=9)
HUGE = Content(crc32=0xCAFE_F00D, compressed_size=FOUR_GIB + 7, size=FOUR_GIB + 9)


def member(name: str = "a.json", *, streamed: bool = False, zip64: bool = False) -> Member:
    return Member(name, DAY, Method.STORED, streamed=streamed, zip64=zip64)


def directory_only(header: bytes, count: int = 1, before: int = 0) -> zipfile.ZipFile:
    """An archive whose members cannot be read, only listed; zipfile takes what is missing in front for another file."""
    directory = header * count
    return zipfile.ZipFile(io.BytesIO(b"\0" * before + directory + end_of_archive(count, len(directory), before)))


@pytest.mark.parametrize(
    ("day", "seen"),
    [
        (DAY, (2026, 11, 1)),
        (date(1980, 1, 1), (1980, 1, 1)),
        (date(1970, 6, 5), (1980, 1, 1)),
        (date(2107, 12, 31), (2107, 12, 31)),
        (date(2500, 1, 1), (2107, 12, 31)),
    ],
)
def test_time_stamps_are_midnight_of_the_nearest_day_that_zip_can_say(day: date, seen: tuple[int, int, int]) -> None:
    header = central_header(Member("a", day, Method.STORED, streamed=False, zip64=False), SMALL, 0)
    assert directory_only(header).infolist()[0].date_time == (*seen, 0, 0, 0)
    assert dos_date(day) >> 9 == seen[0] - 1980


def test_a_member_is_a_regular_unix_file_without_host_data() -> None:
    info = directory_only(central_header(member(), SMALL, 0)).infolist()[0]
    assert info.create_system == 3
    assert info.external_attr == 0o100644 << 16
    assert info.internal_attr == 0
    assert info.extra == b""
    assert info.comment == b""
    assert (info.CRC, info.compress_size, info.file_size, info.header_offset) == (0xCAFE_F00D, 7, 9, 0)
    assert info.extract_version == 10


@pytest.mark.parametrize(("name", "flags"), [("a.json", 0), ("é.json", 0x800)])
def test_only_names_beyond_ascii_are_marked_as_utf8(name: str, flags: int) -> None:
    info = directory_only(central_header(member(name), SMALL, 0)).infolist()[0]
    assert (info.filename, info.flag_bits) == (name, flags)
    assert struct.unpack_from("<H", local_header(member(name), SMALL), 6)[0] == flags


def test_the_local_header_of_a_streamed_member_leaves_sizes_to_the_descriptor() -> None:
    header = local_header(member(streamed=True))
    assert header == struct.pack("<4s5H3L2H", b"PK\x03\x04", 10, 8, 0, 0, dos_date(DAY), 0, 0, 0, 6, 0) + b"a.json"
    assert data_descriptor(member(streamed=True), SMALL) == struct.pack("<4s3L", b"PK\x07\x08", 0xCAFE_F00D, 7, 9)


def test_zip64_sizes_of_a_streamed_member_have_eight_bytes_in_the_descriptor() -> None:
    streamed = member(streamed=True, zip64=True)
    header = local_header(streamed)
    assert struct.unpack_from("<4sH", header) == (b"PK\x03\x04", 45)
    assert struct.unpack_from("<3L2H", header, 14) == (0, 0xFFFF_FFFF, 0xFFFF_FFFF, 6, 20)
    assert header.endswith(struct.pack("<2H2Q", 1, 16, 0, 0))
    descriptor = struct.pack("<4sL2Q", b"PK\x07\x08", 0xCAFE_F00D, FOUR_GIB + 7, FOUR_GIB + 9)
    assert data_descriptor(streamed, HUGE) == descriptor


def test_a_known_zip64_size_stands_in_the_local_header() -> None:
    header = local_header(member(zip64=True), HUGE)
    assert struct.unpack_from("<3L", header, 14) == (0xCAFE_F00D, 0xFFFF_FFFF, 0xFFFF_FFFF)
    assert header.endswith(struct.pack("<2H2Q", 1, 16, FOUR_GIB + 9, FOUR_GIB + 7))


@pytest.mark.parametrize(
    ("content", "offset", "extra_bytes"),
    [
        (SMALL, FOUR_GIB - 2, 0),
        (SMALL, FOUR_GIB - 1, 12),
        (Content(1, 5, FOUR_GIB - 1), 0, 20),
        (Content(1, FOUR_GIB - 1, 5), 0, 20),
        (Content(1, 5, FOUR_GIB - 2), 0, 0),
        (HUGE, FOUR_GIB + 1, 28),
    ],
)
def test_the_directory_uses_zip64_exactly_where_four_bytes_do_not_do(
    content: Content, offset: int, extra_bytes: int
) -> None:
    info = directory_only(central_header(member(zip64=content.needs_zip64), content, offset)).infolist()[0]
    assert (info.compress_size, info.file_size, info.header_offset) == (content.compressed_size, content.size, offset)
    assert len(info.extra) == extra_bytes
    assert info.extract_version == (45 if extra_bytes else 10)


@pytest.mark.parametrize("content", [Content(1, 5, FOUR_GIB - 1), Content(1, FOUR_GIB - 1, 5)])
def test_content_without_room_for_its_sizes_is_refused(content: Content) -> None:
    for record in (local_header, data_descriptor):
        with pytest.raises(OverflowError, match=r"a\.json of 2026-11-01 has .* zip64"):
            record(member(), content)
    with pytest.raises(OverflowError, match=r"a\.json of 2026-11-01 has .* zip64"):
        central_header(member(), content, 0)


@pytest.mark.parametrize("count", [0, 1, 65_600])
def test_any_number_of_members_can_be_listed(count: int) -> None:
    assert len(directory_only(central_header(member(), SMALL, 0), count, before=3).infolist()) == count


@pytest.mark.parametrize(
    ("count", "size", "offset", "zip64"),
    [
        (65_534, FOUR_GIB - 2, FOUR_GIB - 2, False),
        (65_535, 1, 1, True),
        (65_536, 1, 1, True),
        (1, FOUR_GIB - 1, 1, True),
        (1, 1, FOUR_GIB - 1, True),
        (70_000, FOUR_GIB + 1, FOUR_GIB + 2, True),
    ],
)
def test_the_end_uses_zip64_exactly_where_it_must(*, count: int, size: int, offset: int, zip64: bool) -> None:
    end = end_of_archive(count, size, offset)
    assert end[-22:-18] == b"PK\x05\x06"
    assert end[-2:] == b"\0\0"
    if not zip64:
        assert struct.unpack_from("<4H2L", end, 4) == (0, 0, count, count, size, offset)
        return
    assert struct.unpack_from("<4sQ2H2L4Q", end) == (b"PK\x06\x06", 44, 0x32D, 45, 0, 0, count, count, size, offset)
    assert struct.unpack_from("<4sLQL", end, 56) == (b"PK\x06\x07", 0, offset + size, 1)
    assert len(end) == 56 + 20 + 22
