import json
from time import perf_counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exhaust.http.strict_json import MAX_POINTERS, RepeatedNameError, strict_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


def resolved(value: Any, pointer: str) -> Any:
    for name in pointer.split("/")[1:]:
        plain = name.replace("~1", "/").replace("~0", "~")
        value = value[int(plain)] if isinstance(value, list) else value[plain]
    return value


@given(VALUES)
def test_json_without_repeated_names_is_decoded(value: object) -> None:
    assert strict_json(json.dumps(value).encode()) == value


@given(VALUES, st.text(max_size=5), VALUES)
def test_a_pointer_leads_to_each_repeated_name(around: object, name: str, value: object) -> None:
    written = json.dumps(name)
    marked = json.dumps([around, {"deep": ["MARK"]}, around])
    raw = marked.replace('"MARK"', f"{{{written}: {json.dumps(value)}, {written}: 1}}").encode()
    if '"MARK"' in json.dumps([around, value, name]):
        return
    with pytest.raises(RepeatedNameError) as refused:
        strict_json(raw)
    assert [resolved(json.loads(raw), pointer) for pointer in refused.value.pointers] == [1]


@pytest.mark.parametrize(
    ("raw", "pointers"),
    [
        (b'{"a":1,"a":1}', ["/a"]),
        (rb'{"a":1,"\u0061":2}', ["/a"]),
        (b'{"":1,"":2}', ["/"]),
        (b'{"a/b~c":{"x":1,"x":2}}', ["/a~1b~0c/x"]),
        (b'[0,{"x":{"y":1,"y":2}}]', ["/1/x/y"]),
        (b'{"a":{"x":1,"x":2},"a":0}', ["/a"]),
        (b'{"a":1,"A":2}', []),
        (b'{"a":{"a":{"a":1}}}', []),
    ],
)
def test_pointers_are_written_as_in_rfc_6901(raw: bytes, pointers: list[str]) -> None:
    try:
        strict_json(raw)
    except RepeatedNameError as error:
        assert error.pointers == pointers
    else:
        assert pointers == []


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xef\xbb\xbf{}",
        b"\xff",
        b"NaN",
        b"-Infinity",
        b"1e400",
        b'"\\ud800"',
        b'"\\udc00\\ud800"',
        b"[" * 1000 + b"]" * 1000,
        b"[" * 10_000 + b"]" * 10_000,
        b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
        b"{} {}",
    ],
    ids=lambda raw: repr(raw[:12]),
)
def test_a_text_that_readers_may_read_differently_is_refused(raw: bytes) -> None:
    with pytest.raises(json.JSONDecodeError):
        strict_json(raw)


def test_the_worst_bodies_are_refused_quickly_with_a_short_message() -> None:
    many = ",".join(f'"{number:x}":1' for number in range(6000))
    repeated = ",".join(['{"y":1,"y":1}'] * 2000)
    under_a_long_name = f'{{"{"x" * 30_000}":[{repeated}]}}'
    for body in (f"{{{many},{many}}}", under_a_long_name):
        started = perf_counter()
        with pytest.raises(RepeatedNameError) as refused:
            strict_json(body.encode())
        assert perf_counter() - started < 1
        assert len(refused.value.pointers) == MAX_POINTERS
        assert sum(map(len, refused.value.pointers)) < 5000
