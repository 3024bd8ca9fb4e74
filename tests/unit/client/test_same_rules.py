"""The partners' package knows by itself what the platform knows: names of members, resource ids, what an event is."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from telemetry_exhaust.lines import event_of
from telemetry_exhaust.member_names import member_names as names_of_client
from telemetry_exhaust.resource_ids import resource_id as resource_of_client

from services.aggregator.archive.member_names import member_names
from telemetry.line import decode
from telemetry.ownership import is_event
from telemetry.resource_ids import resource_id

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["eid", "tags", "a", ""]), inner),
    max_leaves=8,
)
LINES = (
    b"",
    b"{}",
    b'{"eid":1}\r\n',
    b'\xef\xbb\xbf{"eid":"A"}',
    b'\xef\xbb\xbf\xef\xbb\xbf{"eid":"A"}',
    b'{"eid":"A","x":NaN}',
    b'{"eid":"A","x":1e999}',
    b'{"eid":"A","x":' + b"9" * 5000 + b"}",
    b'{"eid":"A","x":"\xff"}',
    b'{"eid":"A","x":"\\ud800"}',
    b'{"eid":"A","x":"a\tb"}',
    b'{"eid":"A"} {"eid":"B"}',
    b'{"eid":"A","eid":null}',
    b"{'eid':1}",
    *(b'{"eid":' + opened * depth + b"1" + closed * depth + b"}"
      for depth in (798, 799, 800, 801, 5000) for opened, closed in ((b"[", b"]"), (b'{"a":', b"}"))),
)  # fmt: skip


@pytest.mark.parametrize("line", LINES, ids=lambda line: repr(line)[:40])
def test_odd_lines_are_events_to_both_or_to_neither(line: bytes) -> None:
    assert (event_of(line) is not None) == is_event(decode(line))


@given(ANY_JSON, st.integers(0, 3))
def test_any_json_is_an_event_to_both_or_to_neither(value: object, cut: int) -> None:
    line = json.dumps(value).encode()
    line = line[: len(line) - cut]
    assert (event_of(line) is not None) == is_event(decode(line))


@given(st.binary(max_size=40))
@example(b'{"eid"\x00:1}')
def test_any_bytes_are_an_event_to_both_or_to_neither(line: bytes) -> None:
    assert (event_of(line) is not None) == is_event(decode(line))


@given(st.lists(st.text(max_size=20) | st.sampled_from(["a.json.gz", "b/a.json", "A.JSON", "..", "é", "e\u0301"])))
def test_members_have_the_same_names(keys: list[str]) -> None:
    assert names_of_client(keys) == member_names(keys)


@given(st.text())
def test_resources_have_the_same_ids(owner: str) -> None:
    assert resource_of_client(owner) == resource_id(owner)
