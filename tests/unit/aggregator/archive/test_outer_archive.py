from __future__ import annotations

import hashlib
import io
import struct
import zipfile
import zlib
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exhaust.domain.object_keys import outer_archive_name
from services.aggregator.archive.day_archive import DayArchiveWriter
from services.aggregator.archive.outer_archive import (
    CopiedObject,
    Literal,
    Segment,
    StoredDay,
    outer_digest,
    outer_segments,
    outer_size,
)
from tests.support.day_zip import write_member

QUICK = settings(max_examples=20, deadline=None)
FIRST = date(2026, 11, 1)
GIB = 2**30


def day_archive(day: date, lines: bytes) -> bytes:
    writer = DayArchiveWriter(day)
    if not lines:
        return writer.finish()
    return b"".join([*write_member(writer, "a.json", [lines]), writer.finish()])


def joined(segments: list[Segment], objects: dict[str, bytes]) -> bytes:
    return b"".join(
        segment.data if isinstance(segment, Literal) else objects[segment.key][: segment.size] for segment in segments
    )


class HugeFile(io.BytesIO):
    """The archive of segments whose objects would hold nothing but zeros, without their memory."""

    def __init__(self, segments: list[Segment]) -> None:
        super().__init__()
        self._segments = segments
        self._at = 0

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: outer_size(self._segments)}[whence]
        self._at = start + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, size: int | None = -1, /) -> bytes:
        end = outer_size(self._segments) if size is None or size < 0 else self._at + size
        found = b""
        start = 0
        for segment in self._segments:
            length = outer_size([segment])
            low, high = max(self._at - start, 0), min(end - start, length)
            if low < high:
                found += segment.data[low:high] if isinstance(segment, Literal) else bytes(high - low)
            start += length
        self._at += len(found)
        return found


def test_the_name_tells_dataset_and_days() -> None:
    name = outer_archive_name("eks-consumption-raw", FIRST, date(2026, 12, 1))
    assert name == "eks-consumption-raw_2026-11-01_2026-12-01.zip"


@QUICK
@given(st.lists(st.binary(max_size=50), max_size=31), st.binary(max_size=50))
def test_outer_and_inner_archives_open(days: list[bytes], manifest: bytes) -> None:
    inner = {FIRST + timedelta(days=number): lines for number, lines in enumerate(days)}
    objects = {f"days/{day}": day_archive(day, lines) for day, lines in inner.items()}
    stored = [
        StoredDay(day, key, len(objects[key]), zlib.crc32(objects[key])) for day in inner for key in [f"days/{day}"]
    ]
    segments = outer_segments(stored[::-1], manifest)
    data = joined(segments, {day.key: day.header + objects[day.key] for day in stored})
    assert len(data) == outer_size(segments)
    with zipfile.ZipFile(io.BytesIO(data)) as outer:
        assert outer.testzip() is None
        assert outer.namelist() == [*(f"{day}.zip" for day in inner), "manifest.json"]
        assert outer.read("manifest.json") == manifest
        assert {info.compress_type for info in outer.infolist()} == {zipfile.ZIP_STORED}
        assert {info.flag_bits for info in outer.infolist()} == {0}
        for day, lines in inner.items():
            with zipfile.ZipFile(io.BytesIO(outer.read(f"{day}.zip"))) as opened:
                assert b"".join(map(opened.read, opened.namelist())) == lines


@pytest.mark.parametrize("days", range(4))
def test_every_offset_is_counted_from_the_first_byte(days: int) -> None:
    """Lenient readers forgive offsets that are all wrong by the same number of bytes."""
    contents = enumerate([b"x\n", b"", b"y\n"])
    archives = {FIRST + timedelta(days=number): day_archive(FIRST, lines) for number, lines in contents}
    stored = [StoredDay(day, str(day), len(data), zlib.crc32(data)) for day, data in archives.items()][:days]
    data = joined(outer_segments(stored, b"{}"), {day.key: day.header + archives[day.day] for day in stored})
    end = data.rindex(b"PK\5\6")
    _, _, _, entries, size, start, _ = struct.unpack("<HHHHIIH", data[end + 4 :])
    assert (entries, start + size) == (days + 1, end)
    offsets = []
    for _ in range(entries):
        assert data[start : start + 4] == b"PK\1\2"
        name, extra, comment = struct.unpack_from("<HHH", data, start + 28)
        offsets.append(struct.unpack_from("<I", data, start + 42)[0])
        start += 46 + name + extra + comment
    assert offsets[0] == 0
    assert [data[offset : offset + 4] for offset in offsets] == [b"PK\3\4"] * (days + 1)


def test_the_digest_is_that_of_the_literals_and_of_the_days() -> None:
    segments: list[Segment] = [CopiedObject("a", 7), CopiedObject("b", 8), Literal(b"end")]
    digest = outer_digest(segments, {"a": "aa", "b": "bb"})
    assert digest == hashlib.sha256(b"aa 7bb 8end").hexdigest()
    assert digest != outer_digest(segments, {"a": "aa", "b": "cc"})


def test_a_download_without_days_is_a_manifest() -> None:
    segments = outer_segments([], b"{}")
    with zipfile.ZipFile(io.BytesIO(joined(segments, {}))) as outer:
        assert outer.namelist() == ["manifest.json"]
        assert outer.read("manifest.json") == b"{}"


def test_the_manifest_has_the_time_of_the_last_day() -> None:
    stored = [StoredDay(FIRST + timedelta(days=number), str(number), 0, 0) for number in range(3)]
    with zipfile.ZipFile(HugeFile(outer_segments(stored, b"{}"))) as outer:
        days = [date(*info.date_time[:3]) for info in outer.infolist()]
    assert days == [FIRST, FIRST + timedelta(days=1), FIRST + timedelta(days=2), FIRST + timedelta(days=2)]


def test_days_are_whole_objects_with_nothing_between_them() -> None:
    stored = [StoredDay(FIRST, "k1", 100, 1), StoredDay(FIRST + timedelta(days=1), "k2", 200, 2)]
    *days, last = outer_segments(stored, b"{}")
    header = 30 + len("2026-11-01.zip")
    assert days == [CopiedObject("k1", header + 100), CopiedObject("k2", header + 200)]
    assert isinstance(last, Literal)


def test_a_day_can_be_read_out_by_its_range() -> None:
    day = day_archive(FIRST, b"x\n")
    stored = StoredDay(FIRST, "k", len(day), zlib.crc32(day))
    data = joined(outer_segments([stored], b"{}"), {"k": stored.header + day})
    with zipfile.ZipFile(io.BytesIO(data)) as outer:
        info = outer.infolist()[0]
    start = info.header_offset + 30 + len(info.filename)
    assert data[start : start + info.file_size] == day


def test_the_same_days_in_any_order_give_the_same_bytes() -> None:
    stored = [StoredDay(FIRST + timedelta(days=number), f"k{number}", number, number) for number in range(5)]
    assert outer_segments(stored, b"{}") == outer_segments(stored[::-1], b"{}")


def test_a_day_that_comes_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="2026-11-01 comes twice: k1 and k2"):
        outer_segments([StoredDay(FIRST, "k1", 1, 1), StoredDay(FIRST, "k2", 1, 1)], b"")


@pytest.mark.parametrize("sizes", [(3 * GIB, 3 * GIB), (5 * GIB, 1), (4 * GIB - 1, 1), (4 * GIB - 2, 1)])
def test_archives_beyond_four_gib_list_and_read(sizes: tuple[int, int]) -> None:
    stored = [StoredDay(FIRST + timedelta(days=number), str(number), size, 7) for number, size in enumerate(sizes)]
    segments = outer_segments(stored, b'{"totals":{}}\n')
    with zipfile.ZipFile(HugeFile(segments)) as outer:
        assert [info.file_size for info in outer.infolist()] == [*sizes, 14]
        assert [info.header_offset for info in outer.infolist()] == [
            0,
            outer_size(segments[:1]),
            outer_size(segments[:2]),
        ]
        assert outer.read("manifest.json") == b'{"totals":{}}\n'
