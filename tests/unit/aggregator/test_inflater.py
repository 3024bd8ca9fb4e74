import gzip
import hashlib
import zlib
from dataclasses import replace

import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from exhaust.errors import ErrorCode, SourceObjectError
from services.aggregator.scan.inflater import MAX_PIECE_BYTES, Inflater
from services.aggregator.scan.size_guard import SizeGuard, SourceLimits

LIMITS = SourceLimits(
    max_bytes=64 * MAX_PIECE_BYTES,
    max_ratio=1000,
    ratio_grace=MAX_PIECE_BYTES,
    max_members=100,
    max_line=MAX_PIECE_BYTES,
)
NOISE = hashlib.shake_128(b"noise").digest(MAX_PIECE_BYTES + 7)
TEXT = b'{"eid":"START"}\n' * 1000


def inflate(name: str, data: bytes, *, cut: int = 1000, limits: SourceLimits = LIMITS) -> bytes:
    inflater = Inflater(name, SizeGuard(name, limits))
    pieces: list[bytes] = []
    for start in range(0, len(data), cut):
        pieces += inflater.feed(data[start : start + cut])
    pieces += inflater.finish()
    assert all(len(piece) <= MAX_PIECE_BYTES for piece in pieces)
    return b"".join(pieces)


@given(st.lists(st.binary(max_size=300), max_size=4), st.integers(1, 400), st.integers(0, 20))
def test_members_in_a_row_are_one_stream_however_they_arrive(members: list[bytes], cut: int, padding: int) -> None:
    data = b"".join(gzip.compress(member) for member in members)
    if data:
        data += b"\0" * padding
    assert inflate("x.json.gz", data, cut=cut) == b"".join(members)


@given(st.binary(max_size=300).map(lambda data: b"{" + data), st.integers(1, 400))
def test_plain_objects_pass(data: bytes, cut: int) -> None:
    assert inflate("x.json", data, cut=cut) == data


@pytest.mark.parametrize("size", [MAX_PIECE_BYTES - 1, MAX_PIECE_BYTES, MAX_PIECE_BYTES + 1, 3 * MAX_PIECE_BYTES])
@pytest.mark.parametrize("cut", [7919, 10 * MAX_PIECE_BYTES])
def test_sizes_around_a_piece_lose_nothing(size: int, cut: int) -> None:
    data = (TEXT * (size // len(TEXT) + 1))[:size]
    assert inflate("x.gz", gzip.compress(data), cut=cut) == data


@pytest.mark.parametrize("more", [0, 1, 100, MAX_PIECE_BYTES])
def test_a_stream_that_inflates_to_much_leaves_nothing_behind(more: int) -> None:
    size = 3 * MAX_PIECE_BYTES + more
    limits = replace(LIMITS, max_ratio=10**6)
    for compressed in (gzip.compress(bytes(size)), zstd.compress(bytes(size))):
        assert inflate("x.json", compressed, cut=10 * MAX_PIECE_BYTES, limits=limits) == bytes(size)
        assert inflate("x.json", compressed * 2, cut=100, limits=limits) == bytes(2 * size)


def test_gzip_is_known_by_its_content_too() -> None:
    assert inflate("x.json", gzip.compress(TEXT)) == TEXT


def test_other_writers_header_fields_are_skipped() -> None:
    extra = b"\x1f\x8b\x08\x0c" + b"\0" * 6 + b"\x04\x00AB\0\0" + b"name.json\0"
    body = zlib.compressobj(wbits=-15)
    stream = body.compress(TEXT) + body.flush()
    trailer = zlib.crc32(TEXT).to_bytes(4, "little") + len(TEXT).to_bytes(4, "little")
    assert inflate("x.gz", extra + stream + trailer) == TEXT


def test_an_empty_object_holds_nothing() -> None:
    assert inflate("x.json.gz", b"") == b""


@pytest.mark.parametrize("kept", [1, 5, 12, -20, -8, -1])
def test_a_truncated_stream_names_the_object(kept: int) -> None:
    with pytest.raises(SourceObjectError, match=r"raw/x\.gz.*middle") as refused:
        inflate("raw/x.gz", gzip.compress(TEXT)[:kept])
    assert refused.value.code is ErrorCode.SOURCE_OBJECT_UNREADABLE
    assert not refused.value.retryable


@pytest.mark.parametrize("position", [-6, -2, 2])
def test_a_corrupt_stream_names_the_object(position: int) -> None:
    data = bytearray(gzip.compress(TEXT))
    data[position] ^= 0x55
    with pytest.raises(SourceObjectError, match=r"raw/x\.gz.*corrupt"):
        inflate("raw/x.gz", bytes(data))


@pytest.mark.parametrize("data", [b"no gzip at all", gzip.compress(TEXT) + b"garbage"])
def test_garbage_is_refused(data: bytes) -> None:
    with pytest.raises(SourceObjectError, match="corrupt"):
        inflate("x.gz", data)


def test_an_object_over_the_size_limit_is_refused() -> None:
    limits = replace(LIMITS, max_bytes=1000, max_ratio=10_000, ratio_grace=10_000)
    with pytest.raises(SourceObjectError) as refused:
        inflate("x.gz", gzip.compress(TEXT), limits=limits)
    assert refused.value.code is ErrorCode.LIMIT_EXCEEDED


def test_a_bomb_is_refused_before_it_fills_memory() -> None:
    limits = replace(LIMITS, max_bytes=2**40, max_ratio=400)
    with pytest.raises(SourceObjectError, match="400 times") as refused:
        inflate("x.gz", gzip.compress(b"\0" * 32 * MAX_PIECE_BYTES), cut=MAX_PIECE_BYTES, limits=limits)
    assert refused.value.code is ErrorCode.LIMIT_EXCEEDED


def test_an_object_of_too_many_members_is_refused() -> None:
    with pytest.raises(SourceObjectError, match="more than 100 compressed members") as refused:
        inflate("x.gz", gzip.compress(b"") * 101)
    assert refused.value.code is ErrorCode.LIMIT_EXCEEDED


@pytest.mark.parametrize("name", ["x.json.zst", "x.json.zstd", "x.json"])
@pytest.mark.parametrize("cut", [1, 700, 10 * MAX_PIECE_BYTES])
def test_zstd_is_known_by_its_name_or_its_content(name: str, cut: int) -> None:
    noise = NOISE[: MAX_PIECE_BYTES // 64] if cut == 1 else NOISE  # a call a byte takes its time
    data = zstd.compress(noise) + zstd.compress(TEXT)
    assert inflate(name, data, cut=cut) == noise + TEXT


def test_there_are_sixteen_kinds_of_frames_that_are_skipped() -> None:
    for kind in range(0x50, 0x60):
        frame = bytes([kind]) + b"\x2a\x4d\x18\x02\0\0\0ab"
        assert inflate("x.json", frame + zstd.compress(TEXT)) == TEXT
    for kind in (0x4F, 0x60):
        plain = bytes([kind]) + b"\x2a\x4d\x18 is no frame"
        assert inflate("x.json", plain) == plain


def test_zstd_of_several_blocks_can_come_byte_by_byte() -> None:
    noise = NOISE[: 128 * 1024 + 7]  # a block holds 128 KiB (RFC 8878)
    assert inflate("x.json.zst", zstd.compress(noise), cut=1) == noise


@pytest.mark.parametrize("data", [b"no zstd at all", zstd.compress(TEXT) + b"garbage", zstd.compress(TEXT)[:-3]])
def test_damaged_zstd_names_the_object(data: bytes) -> None:
    with pytest.raises(SourceObjectError, match=r"^raw/x\.zst: ") as refused:
        inflate("raw/x.zst", data)
    assert refused.value.code is ErrorCode.SOURCE_OBJECT_UNREADABLE


def test_a_zstd_window_beyond_the_limit_is_refused() -> None:
    options = {int(zstd.CompressionParameter.window_log): 27, int(zstd.CompressionParameter.content_size_flag): 0}
    with pytest.raises(SourceObjectError, match="corrupt"):
        inflate("x.zst", zstd.compress(TEXT * 20_000, options=options), cut=MAX_PIECE_BYTES)
