from __future__ import annotations

import hashlib
import zlib
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.aggregator.archive.deflate import BLOCK_SIZE, RawDeflate

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
