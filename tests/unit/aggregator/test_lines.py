import re
from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from services.aggregator.scan.lines import Block, LineBlock, LineCutter, lines_of

BYTES = st.lists(st.sampled_from([b"\n", b"a", b"\r\n", b"\xff", b"{}", b"x" * 12])).map(b"".join)
CUTS = st.lists(st.integers(0, 99))


def cut(data: bytes, cuts: list[int], max_line: int) -> list[Block]:
    cutter = LineCutter(max_line)
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    blocks = [block for start, end in pairwise(edges) for block in cutter.feed(data[start:end])]
    return [*blocks, *cutter.finish()]


def lines_in(data: bytes) -> list[bytes]:
    return re.findall(rb"[^\n]*\n|[^\n]+", data)


@given(BYTES, CUTS)
def test_blocks_hold_whole_lines_however_the_bytes_arrive(data: bytes, cuts: list[int]) -> None:
    blocks = cut(data, cuts, 1000)
    assert b"".join(block.data for block in blocks) == data
    assert all(isinstance(block, LineBlock) and block.data for block in blocks)
    assert all(block.data.endswith(b"\n") for block in blocks[:-1])


@given(BYTES, CUTS)
@example(b"a" * 10, [])
@example(b"a\n" + b"a" * 10, [2])
@example(b"a" * 11 + b"\n" + b"a" * 10, [11, 12])
@example(b"a\n" + b"a" * 11 + b"\n", [])
@example(b"a" * 9 + b"\n" + b"a" * 10 + b"\n" + b"a" * 10, [5, 15])
def test_lines_that_are_too_long_come_apart_from_the_others(data: bytes, cuts: list[int]) -> None:
    blocks = cut(data, cuts, 10)
    assert b"".join(block.data for block in blocks) == data
    assert all(block.data for block in blocks if isinstance(block, LineBlock))
    assert [block.offset for block in blocks] == [
        sum(len(block.data) for block in blocks[:number]) for number in range(len(blocks))
    ]
    short = [line for block in blocks if isinstance(block, LineBlock) for line in lines_in(block.data)]
    assert short == [line for line in lines_in(data) if len(line) <= 10]
    long_lines: list[bytes] = []
    for block in blocks:
        if not isinstance(block, LineBlock):
            long_lines += [block.data] if block.is_first else [long_lines.pop() + block.data]
    assert long_lines == [line for line in lines_in(data) if len(line) > 10]


@given(st.lists(st.sampled_from([b"\n", b"a", b"\r\n", b"{}"])).map(b"".join))
def test_lines_come_with_their_offsets_and_empty_ones_are_left_out(block: bytes) -> None:
    found = list(lines_of(block))
    assert [line for _, line in found] == [line for line in lines_in(block) if line != b"\n"]
    assert all(block.startswith(line, start) for start, line in found)
    assert all(before + len(line) <= after for (before, line), (after, _) in pairwise(found))
