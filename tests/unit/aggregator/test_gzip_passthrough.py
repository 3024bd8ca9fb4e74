"""A gzip member passes as the deflate stream that it is, whatever stands before and behind it."""

from __future__ import annotations

import gzip
import struct
import zlib
from dataclasses import replace
from itertools import product

import pytest

from exhaust.errors import ErrorCode, SourceObjectError
from services.aggregator.archive.zip_format import Content
from services.aggregator.scan.gzip_passthrough import ChunkRange, GzipPassthrough, SeveralMembersError
from services.aggregator.scan.inflater import MAX_PIECE_BYTES
from services.aggregator.scan.size_guard import SizeGuard, SourceLimits

LIMITS = SourceLimits(max_bytes=2**30, max_ratio=10_000, ratio_grace=2**20, max_members=1, max_line=2**20)
TEXT = b'{"eid":"START"}\n' * 50
COMPRESSOR = zlib.compressobj(wbits=-15)
DEFLATED = COMPRESSOR.compress(TEXT) + COMPRESSOR.flush()
TRAILER = struct.pack("<2L", zlib.crc32(TEXT), len(TEXT))
HEADER = b"\x1f\x8b\x08\x00" + bytes(6)
# The optional fields of a header (RFC 1952, 2.3.1), in their order: the bit of each, and its bytes.
EXTRA, NAME, COMMENT, CHECKSUM = (4, b"\x03\x00A\0B"), (8, b"a name\0"), (16, b"\0"), (2, b"\xff\xff")


class Passed:
    """What a passthrough makes of an object that comes in chunks."""

    def __init__(self, limits: SourceLimits = LIMITS) -> None:
        self.guard = SizeGuard("raw/x.gz", limits)
        self.gzip = GzipPassthrough("raw/x.gz", self.guard)
        self.inflated = b""
        self.stream = b""

    def feed(self, stored: bytes, cut: int) -> Passed:
        for start in range(0, len(stored), cut):
            chunk = stored[start : start + cut]
            *pieces, passed = self.gzip.feed(chunk)
            assert isinstance(passed, ChunkRange)
            self.stream += chunk[passed.start : passed.end]
            for piece in pieces:
                assert isinstance(piece, bytes)
                assert len(piece) <= MAX_PIECE_BYTES
                self.inflated += piece
        return self


def header_with(*fields: tuple[int, bytes]) -> bytes:
    return b"\x1f\x8b\x08" + bytes([sum(bit for bit, _ in fields)]) + bytes(6) + b"".join(data for _, data in fields)


def refusal(stored: bytes, cut: int = 7, limits: SourceLimits = LIMITS) -> str:
    with pytest.raises(SourceObjectError) as refused:
        Passed(limits).feed(stored, cut).gzip.finish()
    assert refused.value.source_object == "raw/x.gz"
    return f"{refused.value.code}: {refused.value.message}"


@pytest.mark.parametrize("present", [*product([False, True], repeat=4)])
@pytest.mark.parametrize("cut", [1, 5, 10_000])
def test_every_header_is_left_out_and_the_stream_passes(present: tuple[bool, ...], cut: int) -> None:
    fields = [field for field, there in zip((EXTRA, NAME, COMMENT, CHECKSUM), present, strict=True) if there]
    stored = header_with(*fields) + DEFLATED + TRAILER + bytes(3)
    passed = Passed().feed(stored, cut)
    passed.gzip.finish()
    assert passed.gzip.ended
    assert (passed.inflated, passed.stream) == (TEXT, DEFLATED)
    assert passed.gzip.content == Content(zlib.crc32(TEXT), len(DEFLATED), len(TEXT))
    assert (passed.guard.stored, passed.guard.inflated) == (len(stored), len(TEXT))


def test_the_length_of_an_extra_field_has_two_bytes() -> None:
    stored = header_with((4, b"\x01\x01" + bytes(257))) + DEFLATED + TRAILER
    assert Passed().feed(stored, 100).inflated == TEXT


@pytest.mark.parametrize("size", [0, 1, MAX_PIECE_BYTES - 1, MAX_PIECE_BYTES, MAX_PIECE_BYTES + 1, 2 * MAX_PIECE_BYTES])
def test_sizes_around_a_piece_lose_nothing(size: int) -> None:
    data = (TEXT * (size // len(TEXT) + 1))[:size]
    passed = Passed().feed(gzip.compress(data), 100_000)
    passed.gzip.finish()
    assert passed.inflated == data


@pytest.mark.parametrize("kept", [*range(18), -9, -8, -1])
def test_an_object_that_ends_in_the_middle_is_refused(kept: int) -> None:
    stored = (HEADER + DEFLATED + TRAILER)[:kept]
    for cut in (1, 10_000):
        end = f"the compressed stream ends in the middle (within its first {len(stored)} bytes)"
        assert refusal(stored, cut).endswith(end)


@pytest.mark.parametrize("place", range(8))
def test_a_wrong_checksum_or_length_is_refused(place: int) -> None:
    trailer = bytearray(TRAILER)
    trailer[place] ^= 1
    for cut in (1, 10_000):
        assert "its checksum or length is wrong" in refusal(HEADER + DEFLATED + trailer, cut)


def test_a_corrupt_stream_is_refused() -> None:
    told = refusal(HEADER + b"\xff" + DEFLATED + TRAILER)
    assert told.startswith(f"{ErrorCode.SOURCE_OBJECT_UNREADABLE}: raw/x.gz: the gzip stream is corrupt")


def test_another_member_is_another_error_however_it_comes() -> None:
    for cut, padding in product((1, 10_000), (0, 3)):
        with pytest.raises(SeveralMembersError) as found:
            Passed().feed(HEADER + DEFLATED + TRAILER + bytes(padding) + HEADER, cut)
        assert found.value.object_key == "raw/x.gz"


def test_padding_without_end_takes_no_memory() -> None:
    passed = Passed().feed(HEADER + DEFLATED + TRAILER + bytes(100_000), 1000)
    passed.gzip.finish()
    assert passed.stream == DEFLATED


@pytest.mark.parametrize("field", [NAME, COMMENT])
def test_a_header_of_a_mebibyte_is_read_and_one_without_end_is_refused(field: tuple[int, bytes]) -> None:
    long = header_with((field[0], b"n" * (2**20 - 11) + b"\0"))
    assert len(long) == 2**20
    assert Passed().feed(long + DEFLATED + TRAILER, 2**20).inflated == TEXT
    Passed().feed(header_with((field[0], b"n" * (2**20 - 10))), 2**20)
    assert "its header does not end" in refusal(header_with((field[0], b"n" * (2**20 - 9))), 2**20 + 1)


def test_limits_count_what_is_inflated() -> None:
    assert "holds more than 799 bytes" in refusal(HEADER + DEFLATED + TRAILER, limits=replace(LIMITS, max_bytes=799))
    Passed(replace(LIMITS, max_bytes=800)).feed(HEADER + DEFLATED + TRAILER, 7).gzip.finish()
