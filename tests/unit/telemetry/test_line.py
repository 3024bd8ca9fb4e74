import pytest

from telemetry.line import UNREADABLE, decode


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
