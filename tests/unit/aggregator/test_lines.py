from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exhaust.errors import ErrorCode, SourceObjectError
from services.aggregator.lines import UNREADABLE, LineSplitter, decode


def split(data: bytes, cuts: list[int], longest: int = 1000) -> list[bytes]:
    splitter = LineSplitter("raw/x", longest)
    lines: list[bytes] = []
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    for start, end in pairwise(edges):
        lines += splitter.feed(data[start:end])
    return [*lines, *splitter.finish()]


@given(st.lists(st.sampled_from([b"\n", b"a", b"\r\n", b"\xff", b"{}"])).map(b"".join), st.lists(st.integers(0, 99)))
def test_lines_are_the_same_however_the_bytes_arrive(data: bytes, cuts: list[int]) -> None:
    lines = split(data, cuts)
    assert b"".join(lines) == data
    assert all(line.endswith(b"\n") for line in lines[:-1])
    assert all(line.count(b"\n") <= 1 for line in lines)


@pytest.mark.parametrize("data", [b"a" * 11, b"ok\n" + b"a" * 11 + b"\n", b"ok\n" + b"a" * 40])
def test_a_line_that_is_too_long_is_refused_with_its_place(data: bytes) -> None:
    with pytest.raises(SourceObjectError, match=r"raw/x: the line at inflated byte [03] ") as refused:
        split(data, [5], longest=10)
    assert refused.value.code is ErrorCode.LIMIT_EXCEEDED


@pytest.mark.parametrize(
    ("line", "value"),
    [
        (b'{"a":1}\n', {"a": 1}),
        (b'\xef\xbb\xbf{"a":1}\r\n', {"a": 1}),
        (b'{"a":1,"a":2}', {"a": 2}),
        (b'{"a":"\\ud800"}', {"a": "\ud800"}),
        (b'{"ets":1.595399487688E12}', {"ets": 1.595399487688e12}),
        (b"[1]", [1]),
        (b"null", None),
    ],
)
def test_json_is_decoded(line: bytes, value: object) -> None:
    assert decode(line) == value


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{",
        b'{"a":NaN}',
        b'{"a":-Infinity}',
        b'{"a":"\xff"}',
        b"[" * 100_000,
        b'{"a":"\n"}',
        b"'a'",
        b"{} {}",
        b'{"a":' + b"9" * 5000 + b".}",
    ],
)
def test_what_is_no_json_is_unreadable(line: bytes) -> None:
    assert decode(line) is UNREADABLE
