from __future__ import annotations

import hashlib
import zlib
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from isal import isal_zlib

from services.aggregator.archive.deflate import BLOCK_SIZE, DeflatedMember, RawDeflate, deflater_id
from services.aggregator.archive.zip_format import Content

QUICK = settings(max_examples=20, deadline=None)
# Lines like telemetry, bytes that do not compress, bytes that compress to nothing: isal treats each in its own way.
LINES = b"".join(
    b'{"eid":"INTERACT","ets":%d,"mid":"%s"}\n' % (index, hashlib.sha256(b"%d" % index).hexdigest().encode())
    for index in range(3_000)
)
DATA = LINES + b"".join(hashlib.sha256(b"%d" % index).digest() for index in range(12_000)) + bytes(300_000)


def deflated(pieces: list[bytes]) -> bytes:
    deflate = RawDeflate()
    return b"".join([deflate.write(piece) for piece in pieces] + [deflate.finish()])


def cut(data: bytes, at: list[int]) -> list[bytes]:
    ends = [0, *sorted(at), len(data)]
    return [data[start:end] for start, end in pairwise(ends)]


WHOLE = deflated([DATA])


def test_the_stream_is_raw_deflate_of_the_data() -> None:
    assert zlib.decompress(WHOLE, wbits=-15) == DATA
    assert len(WHOLE) < len(DATA)


@QUICK
@given(st.lists(st.integers(0, len(DATA)), max_size=40))
def test_cuts_do_not_change_the_stream(at: list[int]) -> None:
    assert deflated(cut(DATA, at)) == WHOLE


@pytest.mark.parametrize("step", [BLOCK_SIZE - 1, BLOCK_SIZE, BLOCK_SIZE + 1, 3 * BLOCK_SIZE, 997])
def test_even_cuts_do_not_change_the_stream(step: int) -> None:
    assert deflated(cut(DATA, list(range(step, len(DATA), step)))) == WHOLE


def test_views_give_the_stream_of_their_bytes() -> None:
    deflate = RawDeflate()
    assert deflate.write(memoryview(DATA)) + deflate.finish() == WHOLE


@QUICK
@given(st.binary(max_size=2_000))
def test_any_bytes_come_back(data: bytes) -> None:
    assert zlib.decompress(deflated([data]), wbits=-15) == data


def test_what_comes_out_early_needs_no_memory_later() -> None:
    deflate = RawDeflate()
    early = deflate.write(DATA)
    assert len(early) > len(WHOLE) // 2


def test_the_stream_is_that_of_isal_at_level_1_in_calls_of_256_kib() -> None:
    """Other levels and calls make other bytes, and so other archives of the same sources."""
    compressor = isal_zlib.compressobj(1, isal_zlib.DEFLATED, -15)
    starts = range(0, len(DATA), 256 * 1024)
    blocks = [compressor.compress(DATA[start : start + 256 * 1024]) for start in starts]
    assert b"".join(blocks) + compressor.flush() == WHOLE


def test_a_member_counts_what_goes_in_and_what_comes_out() -> None:
    member = DeflatedMember()
    assert member.content == Content(0, 0, 0)
    pieces: list[bytes | memoryview | bytearray] = [
        DATA[:5],
        memoryview(DATA)[5:BLOCK_SIZE],
        bytearray(DATA[BLOCK_SIZE:]),
    ]
    stream = b"".join([*(member.write(piece) for piece in pieces), member.finish()])
    assert stream == WHOLE
    assert member.content == Content(zlib.crc32(DATA), len(WHOLE), len(DATA))


def test_a_machine_has_one_id_for_how_it_deflates() -> None:
    first = deflater_id()
    deflater_id.cache_clear()
    assert deflater_id() == first
    assert len(first) == 16
    int(first, 16)
