import json
import time
from collections.abc import Callable
from typing import NoReturn

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from deploy.local.independent_events import parse_event
from telemetry.event_metadata import event_time, message_id, schema_version
from telemetry.line import MAX_NESTING, UNREADABLE, decode, decode_all, decode_metadata, nests_too_deep
from telemetry.ownership import is_event, ownership

Json = Callable[[bool], str]
"""Writes a JSON value: with \\u escapes, or without."""


@pytest.mark.parametrize(
    ("line", "value"),
    [
        (b'{"mid":1}\n', {"mid": 1}),
        (b'\xef\xbb\xbf{"mid":1}\r\n', {"mid": 1}),
        (b'{"mid":1,"mid":2}', {"mid": 2}),
        (b'{"context":{"channel":1},"context":{}}', {"context": {}}),
        (b'{"mid":"\\ud800"}', {"mid": "\ud800"}),
        (b'{"ets":1.595399487688E12}', {"ets": 1.595399487688e12}),
        (b'{"context":{"channel":"c","sid":"s"},"edata":{"type":"x"}}', {"context": {"channel": "c"}}),
        (b'{"context":"c","etags":[1],"metadata":null}', {"context": "c", "etags": [1], "metadata": None}),
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
        b'{"\xff":1}',
        b"[" * 100_000,
        b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"a":"\n"}',
        b'{"a":"\\x"}',
        b'{"a":01}',
        b'{"a":1,}',
        b"'a'",
        b"{} {}",
        b'{"a":' + b"9" * 5000 + b".}",
    ],
)
def test_what_is_no_json_is_unreadable(line: bytes) -> None:
    assert decode(line) is UNREADABLE


def arrays(member: str, depth: int) -> bytes:
    return b'{"eid":1,"%s":%s%s}' % (member.encode(), b"[" * (depth - 1), b"]" * (depth - 1))


def nested_objects(member: str, depth: int) -> bytes:
    return b'{"eid":1,"%s":%s{}%s}' % (member.encode(), b'{"":' * (depth - 2), b"}" * (depth - 2))


def behind_brackets(member: str, depth: int) -> bytes:
    return b'{"x":"[\\"' + b"[{" * 1000 + b'","y":[' + b"[]," * 1000 + b"0]," + arrays(member, depth)[1:]


@pytest.mark.parametrize("depth", [100, 500, 799, 800, 801, 802, 990, 995, 1_000, 5_000, 100_000])
@pytest.mark.parametrize("member", ["tags", "edata"])
@pytest.mark.parametrize("nested", [arrays, nested_objects, behind_brackets])
def test_one_depth_is_too_deep_whatever_is_decoded(
    nested: Callable[[str, int], bytes], member: str, depth: int
) -> None:
    line = nested(member, depth)
    found = [decode(line), *decode_all([line]), *decode_all([line, b"{"])[:1], *decode_metadata([line])]
    assert [is_event(value) for value in found] == [depth <= 800] * 4
    assert is_event(decode(b"\xef\xbb\xbf" + line)) == (depth <= 800)
    assert (parse_event(line) is not None) == (depth <= 800)


def levels(opening: bytes, innermost: bytes, closing: bytes, depth: int) -> bytes:
    """A value that nests so deep, in as few bytes as this way of writing needs."""
    return opening * (depth - 1) + innermost + closing * (depth - 1)


@pytest.mark.parametrize(
    ("opening", "innermost", "closing"),
    [
        (b"[", b"[]", b"]"),
        (b"[ ", b"[]", b"]"),
        (b"[ ", b"[ ]", b" ]"),
        (b'{"":', b"{}", b"}"),
        (b'{"": ', b"{}", b"}"),
        (b'{"a":', b"[]", b"}"),
        (b"[", b"[0,[],[],[]]", b"]"),
        (b"[[],", b"[]", b"]"),
        (b'["]",', b"[]", b"]"),
    ],
)
def test_800_levels_are_read_and_801_are_not(opening: bytes, innermost: bytes, closing: bytes) -> None:
    assert MAX_NESTING == 800
    deepest = levels(opening, innermost, closing, 800 - (innermost.count(b"[") > 1))
    assert not nests_too_deep(deepest)
    assert nests_too_deep(b"[" + deepest + b"]")
    assert nests_too_deep(b'{"":' + deepest + b"}")
    for arrays_first in (1, 2, 3, 799):
        mixed = b"[" * arrays_first + levels(b'{"":', b"{}", b"}", 801 - arrays_first) + b"]" * arrays_first
        assert nests_too_deep(mixed)
        assert not nests_too_deep(mixed[1:-1])


def test_long_numbers_are_exact_up_to_19_digits() -> None:
    for digits in ("123456789012345678", "1234567890123456789", "-123456789012345678"):
        assert decode(b'\xef\xbb\xbf{"ets":%s}' % digits.encode()) == {"ets": int(digits)}
    read = decode(b'\xef\xbb\xbf{"ets":12345678901234567891}')
    assert read == {"ets": 12345678901234567891.0}
    assert isinstance(read, dict)
    assert isinstance(read["ets"], float)


@pytest.mark.parametrize(
    "line", [b'"' + b'\\"' * 500_000 + b"[{" * 300, b'{"x":[' + b"[]," * 300_000 + b"[]]}", b'"["' * 300_000]
)
def test_brackets_of_a_long_line_are_counted_in_no_time(line: bytes) -> None:
    started = time.process_time()
    decode(line)
    assert time.process_time() - started < 2


# Against an independent reading of whole lines.

KEYS = (
    *("eid", "ver", "mid", "ets", "ts", "channel", "context", "cdata", "etags", "app", "dims", "partner"),
    *("partnerid", "tags", "genie", "metadata", "partner_name", "type", "id", "edata"),
)
SCALARS = (
    *("1.0", "2.0", "2.2", "3.0", "partner", "a", "ä", "\ud800", "", "2017-07-14T02:40:00+00:00"),
    *(None, True, False, 0, 1500000000000, 1.5e12, 10**30, 10**400),
)


def scalar(value: object) -> Json:
    return lambda ascii_only: json.dumps(value, ensure_ascii=ascii_only or value == "\ud800")


def array(items: list[Json]) -> Json:
    return lambda ascii_only: f"[{','.join(item(ascii_only) for item in items)}]"


def members(pairs: list[tuple[str, Json]]) -> Json:
    return lambda ascii_only: f"{{{','.join(f'{json.dumps(key)}: {value(ascii_only)}' for key, value in pairs)}}}"


def objects(values: st.SearchStrategy[Json]) -> st.SearchStrategy[Json]:
    return st.lists(st.tuples(st.sampled_from(KEYS), values), max_size=6).map(members)


VALUES = st.recursive(
    st.sampled_from(SCALARS).map(scalar),
    lambda values: st.lists(values, max_size=3).map(array) | objects(values),
    max_leaves=12,
)
LINES = st.tuples(objects(VALUES), st.booleans()).map(lambda made: made[0](made[1]).encode())


def refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


def whole(line: bytes) -> object:
    try:
        return json.loads(line.decode("utf-8-sig"), parse_constant=refuse)
    except ValueError:
        return UNREADABLE


def said(value: object) -> tuple[object, ...]:
    """All that the engine reads of a line."""
    if not is_event(value):
        return (isinstance(value, dict), value is UNREADABLE)
    owner = ownership(value, default_channel="default")
    owners = owner.channel, owner.partners, owner.partner_resources, owner.tags
    return owners, event_time(value), message_id(value), schema_version(value)


@given(LINES)
@example(b'{"eid": "1.0","ver": 0}')
def test_whatever_is_read_of_an_event_is_decoded(line: bytes) -> None:
    assert said(decode(line)) == said(whole(line))


@given(LINES, st.integers(0), st.integers(0, 2), st.binary(max_size=2))
@example(b'{"edata":"a"}', 10, 1, b"\xff")
@example(b'{"edata":"a"}', 10, 1, b"\x00")
def test_a_damaged_line_is_unreadable_where_it_is_no_json_any_more(line: bytes, at: int, cut: int, put: bytes) -> None:
    at %= len(line)
    damaged = line[:at] + put + line[at + cut :]
    assert said(decode(damaged)) == said(whole(damaged))


ODD = st.sampled_from(
    [b"[1]\n", b"null", b'{"edata":"\xff"}\n', b'\xef\xbb\xbf{"eid":1}\n', b'{"eid":"\xc3\xa4"}', b" \n"]
)


@given(st.lists(LINES | ODD, max_size=4))
@example([b'{"eid":"\xc3', b'\xa4"}'])
def test_lines_are_decoded_together_as_alone(lines: list[bytes]) -> None:
    alone = [*map(decode, lines)]
    assert [*map(said, decode_all(lines))] == [*map(said, alone)]
    assert [*map(happened, decode_metadata(lines))] == [*map(happened, alone)]


def happened(value: object) -> tuple[object, ...]:
    """All that is read of a line that is only counted."""
    return (event_time(value), message_id(value), schema_version(value)) if is_event(value) else said(value)
