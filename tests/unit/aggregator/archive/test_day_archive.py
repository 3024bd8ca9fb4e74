from __future__ import annotations

import hashlib
import io
import platform
import struct
import zipfile
import zlib
from datetime import date
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.aggregator.archive.day_archive import DayArchiveWriter
from services.aggregator.archive.zip_format import Content
from tests.support.day_zip import write_known_member, write_member

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

QUICK = settings(max_examples=20, deadline=None)
DAY = date(2026, 11, 1)
NOTHING = Content(0, 0, 0)
LINES = st.lists(st.binary(max_size=60).map(lambda line: line.replace(b"\n", b"") + b"\n"), max_size=8)
NAMES = st.from_regex(r"[a-zA-Zé0-9_][a-zA-Zé0-9._-]{0,20}", fullmatch=True)


def archive(members: Mapping[str, list[bytes]], *, large: bool = False) -> tuple[bytes, DayArchiveWriter]:
    writer = DayArchiveWriter(DAY)
    pieces: list[bytes] = []
    for name, chunks in members.items():
        pieces += write_member(writer, name, chunks, large=large)
    pieces.append(writer.finish())
    return b"".join(pieces), writer


@QUICK
@given(st.dictionaries(NAMES, LINES, max_size=5), st.sampled_from([4, 8]))
def test_members_come_back_in_order(members: dict[str, list[bytes]], size_bytes: int) -> None:
    data, writer = archive(members, large=size_bytes == 8)
    with zipfile.ZipFile(io.BytesIO(data)) as opened:
        assert opened.namelist() == list(members)
        assert opened.testzip() is None
        for name, lines in members.items():
            assert opened.read(name) == b"".join(lines)
            assert opened.getinfo(name).compress_type == zipfile.ZIP_DEFLATED
            assert opened.getinfo(name).date_time == (2026, 11, 1, 0, 0, 0)
    assert writer.size == len(data)
    assert writer.crc32 == zlib.crc32(data)
    assert writer.sha256 == hashlib.sha256(data).hexdigest()


@QUICK
@given(st.dictionaries(NAMES, LINES, max_size=5))
def test_cuts_do_not_change_the_archive(members: dict[str, list[bytes]]) -> None:
    joined = {name: [b"".join(lines)] for name, lines in members.items()}
    assert archive(members)[0] == archive(joined)[0]


def test_size_and_sums_follow_what_was_returned() -> None:
    writer = DayArchiveWriter(DAY)
    assert (writer.size, writer.crc32, writer.sha256) == (0, 0, hashlib.sha256().hexdigest())
    begun = writer.begin_member("a.json")
    assert writer.size == len(begun) == 36
    added = writer.add(b"\x03\0")
    assert (writer.size, writer.crc32) == (38, zlib.crc32(begun + added))


def test_a_member_whose_content_is_known_carries_its_sizes_before_its_data_and_none_behind() -> None:
    writer = DayArchiveWriter(DAY)
    data = b"".join([*write_known_member(writer, "a.json", b"x\n"), writer.finish()])
    assert data[6:8] == b"\0\0"
    assert struct.unpack("<3L", data[14:26]) == (zlib.crc32(b"x\n"), 4, 2)
    assert data[36 + 4 :].startswith(b"PK\x01\x02")
    with zipfile.ZipFile(io.BytesIO(data)) as opened:
        assert opened.read("a.json") == b"x\n"


def test_a_known_member_of_four_gib_has_eight_byte_sizes() -> None:
    writer = DayArchiveWriter(DAY)
    content = Content(0, 2, 2**32)
    header = writer.begin_member("a.json", content)
    assert struct.unpack("<2L", header[18:26]) == (0xFFFF_FFFF, 0xFFFF_FFFF)
    assert struct.unpack("<2H2Q", header[-20:]) == (1, 16, 2**32, 2)
    writer.add(b"\x03\0")
    assert writer.end_member(content) == b""


def test_a_member_has_the_content_that_it_was_begun_with() -> None:
    writer = DayArchiveWriter(DAY)
    writer.begin_member("a.json", Content(1, 2, 0))
    writer.add(b"\x03\0")
    with pytest.raises(ValueError, match=r"'a\.json' was begun with other content"):
        writer.end_member(Content(0, 2, 0))


def test_an_empty_day_is_a_zip_without_members() -> None:
    data, writer = archive({})
    assert data == b"PK\x05\x06" + bytes(18)
    assert writer.size == 22


def test_a_member_of_eight_byte_sizes_carries_them_in_its_descriptor() -> None:
    small, large = (archive({"a.json": [b"x\n"]}, large=maybe)[0] for maybe in (False, True))
    assert len(large) - len(small) == 20 + 8
    at = large.index(b"PK\x07\x08")
    assert int.from_bytes(large[at + 8 : at + 16], "little") == 4
    assert int.from_bytes(large[at + 16 : at + 24], "little") == 2
    assert large[at + 24 : at + 28] == b"PK\x01\x02"


@pytest.mark.skipif(platform.machine() != "x86_64", reason="isal makes other bytes on other processors")
def test_the_bytes_are_those_of_this_format_version() -> None:
    line = b'{"eid":"START","ets":%d}\n'
    members = {"a.json": [b"".join(line % number for number in range(40_000))], "é.json": [bytes(700_000)]}
    # Other bytes are another format: raise ARCHIVE_FORMAT_VERSION, then put the new sum here.
    expected = "598cb51484e464182cc91f555e08f5753d6c3fdb0108a0ba6f7293d1a41f2a62"
    assert archive(members)[1].sha256 == expected


@pytest.mark.parametrize("name", ["", "/a", "../a", "a\\b", "a\nb", "a" * 65_536])
def test_a_bad_name_is_refused_and_the_archive_goes_on(name: str) -> None:
    writer = DayArchiveWriter(DAY)
    with pytest.raises(ValueError, match="member name"):
        writer.begin_member(name)
    assert writer.finish() == archive({})[0]


def test_a_member_has_the_size_that_was_added() -> None:
    writer = DayArchiveWriter(DAY)
    writer.begin_member("a.json")
    writer.add(b"\x03\0")
    with pytest.raises(ValueError, match=r"'a\.json' has 2 bytes, not 3"):
        writer.end_member(Content(0, 3, 0))
    with pytest.raises(ValueError, match=r"'a\.json' has 2 bytes, not 1"):
        writer.end_member(Content(0, 1, 0))


def test_a_member_that_turns_out_to_be_too_large_ends_the_archive() -> None:
    writer = DayArchiveWriter(DAY)
    writer.begin_member("a.json")
    writer.add(b"\x03\0")
    with pytest.raises(OverflowError, match=r"a\.json of 2026-11-01 has 4294967295 bytes"):
        writer.end_member(Content(0, 2, 2**32 - 1))
    with pytest.raises(RuntimeError, match=r"begin_member: member 'a\.json' was too large, begin a new one"):
        writer.begin_member("b.json")
    with pytest.raises(RuntimeError, match=r"finish: member 'a\.json' was too large, begin a new one"):
        writer.finish()


def test_a_name_that_is_taken_is_refused() -> None:
    writer = DayArchiveWriter(DAY)
    assert list(write_member(writer, "a.json", []))
    with pytest.raises(ValueError, match=r"'a\.json' is already in the archive"):
        writer.begin_member("a.json")


def test_calls_outside_a_member_are_refused() -> None:
    writer = DayArchiveWriter(DAY)
    calls: list[Callable[[], bytes]] = [lambda: writer.end_member(NOTHING), lambda: writer.add(b"x")]
    for call in calls:
        with pytest.raises(RuntimeError, match="no member is open"):
            call()


def test_calls_that_need_the_member_ended_are_refused() -> None:
    writer = DayArchiveWriter(DAY)
    writer.begin_member("a.json")
    for call in (writer.finish, lambda: writer.begin_member("b.json")):
        with pytest.raises(RuntimeError, match=r"'a\.json' is open"):
            call()


def test_nothing_follows_the_end() -> None:
    writer = DayArchiveWriter(DAY)
    writer.finish()
    for call in (
        writer.finish,
        lambda: writer.end_member(NOTHING),
        lambda: writer.add(b"x"),
        lambda: writer.begin_member("a.json"),
    ):
        with pytest.raises(RuntimeError, match="is finished"):
            call()
