import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exhaust.errors import ErrorCode, SourceObjectError
from services.aggregator.scan.lines import LineBlocks, lines_of


def joined(data: bytes, cuts: list[int], longest: int = 1000) -> list[bytes]:
    joiner = LineBlocks("raw/x", longest)
    blocks: list[bytes] = []
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    for start, end in pairwise(edges):
        blocks.append(joiner.feed(data[start:end]))
    return [block for block in [*blocks, joiner.finish()] if block]


@given(st.lists(st.sampled_from([b"\n", b"a", b"\r\n", b"\xff", b"{}"])).map(b"".join), st.lists(st.integers(0, 99)))
def test_blocks_hold_whole_lines_however_the_bytes_arrive(data: bytes, cuts: list[int]) -> None:
    blocks = joined(data, cuts)
    assert b"".join(blocks) == data
    assert all(block.endswith(b"\n") for block in blocks[:-1])


@given(st.lists(st.sampled_from([b"\n", b"a", b"\r\n", b"{}"])).map(b"".join))
def test_lines_come_with_their_offsets_and_empty_ones_are_left_out(block: bytes) -> None:
    found = list(lines_of(block))
    assert [line for _, line in found] == [line for line in re.findall(rb"[^\n]*\n|[^\n]+", block) if line != b"\n"]
    assert all(block.startswith(line, start) for start, line in found)
    assert all(before + len(line) <= after for (before, line), (after, _) in pairwise(found))


@pytest.mark.parametrize("data", [b"a" * 11, b"ok\n" + b"a" * 11 + b"\n", b"ok\n" + b"a" * 40])
def test_a_line_that_is_too_long_is_refused_with_its_offset(data: bytes) -> None:
    with pytest.raises(SourceObjectError, match=r"raw/x: the line at inflated byte [03] ") as refused:
        joined(data, [5], longest=10)
    assert refused.value.code is ErrorCode.LIMIT_EXCEEDED
