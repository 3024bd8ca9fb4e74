"""The line prefilter finds every line that may be an owner's, with its place."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.aggregator.scan.line_prefilter import LinePrefilter, OwnerPattern
from services.aggregator.scan.lines import lines_of

DEFAULT = "in.default"
BLOCK = b'{"a":"in.one"}\n\n{"b":"x"}\n{"c":"in.two in.one"}\nin.one\n{"partner_name":1}\n{"d":"\\u0069"}\nlast in.one'


def pattern(owner: str) -> OwnerPattern:
    found = OwnerPattern.of(owner, default_channel=DEFAULT)
    assert found is not None
    return found


@pytest.mark.parametrize("owner", [None, "", " ", "\t\n", DEFAULT])
def test_of_some_owners_any_line_may_be(owner: str | None) -> None:
    assert OwnerPattern.of(owner, default_channel=DEFAULT) is None
    found = LinePrefilter([pattern("in.one"), OwnerPattern.of(owner, default_channel=DEFAULT)]).find(BLOCK)
    assert list(found) == list(lines_of(BLOCK))


def test_the_lines_of_an_owner_come_with_their_places() -> None:
    found = list(LinePrefilter([pattern("in.one")]).find(BLOCK))
    assert [line for _, line in found] == [
        b'{"a":"in.one"}\n',
        b'{"c":"in.two in.one"}\n',
        b"in.one\n",
        b'{"partner_name":1}\n',
        b'{"d":"\\u0069"}\n',
        b"last in.one",
    ]
    assert all(BLOCK[start : start + len(line)] == line for start, line in found)


def test_a_block_without_any_of_the_owners_has_no_lines() -> None:
    assert list(LinePrefilter([pattern("in.one")]).find(b'{"b":"x"}\n\n')) == []
    assert list(LinePrefilter([pattern("in.one")]).find(b"")) == []


def test_ids_with_characters_that_are_escaped_in_two_letters_need_any_backslash() -> None:
    assert pattern("in.one").substrings == {b"in.one", b"\\u", b"partner_name"}
    for special in '"\\/\b\f\n\r\t':
        assert pattern(f"a{special}b").substrings == {f"a{special}b".encode(), b"\\", b"partner_name"}
    assert pattern("in.one").matches(b"x in.one")
    assert not pattern("in.one").matches(b"x in.on\\ e")
    assert pattern("a/b").matches(rb"a\/b")


def test_up_to_ten_byte_strings_are_searched_for() -> None:
    """With one more every line is looked at, which finds the same lines and some besides."""
    owners = [f"in.owner{number}" for number in range(9)]
    block = b"in.owner7\nnobody\n\\u\n"
    assert [line for _, line in LinePrefilter([*map(pattern, owners[:8])]).find(block)] == [b"in.owner7\n", b"\\u\n"]
    assert list(LinePrefilter([*map(pattern, owners)]).find(block)) == list(lines_of(block))


@given(
    st.lists(st.sampled_from(["in.one", "in.two", "x", "", '"', "\\u0041", "é"]), max_size=12),
    st.sampled_from([b"", b"\n"]),
)
def test_no_line_of_an_owner_is_left_out(texts: list[str], end: bytes) -> None:
    block = b"\n".join(json.dumps(text).encode() for text in texts) + end
    wanted = [pattern("in.one"), pattern('in."two')]
    found = list(LinePrefilter(wanted).find(block))
    assert found == [(at, line) for at, line in lines_of(block) if any(each.matches(line) for each in wanted)]
