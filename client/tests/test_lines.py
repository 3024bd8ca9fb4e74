from __future__ import annotations

import io
from typing import Any

import pytest

from telemetry_exhaust.lines import MAX_LINE_BYTES, count_events

EVENT = b'{"eid":"A"}'


def long_event(size: int) -> bytes:
    return EVENT[:-1].ljust(size - 1) + b"}"


@pytest.mark.parametrize(
    ("content", "events"),
    [
        (b"", 0),
        (EVENT, 1),
        (EVENT + b"\n", 1),
        (EVENT + b"\r\n\n" + EVENT, 2),
        (b"[1]\njunk\n\xff\n{}\n" + EVENT, 1),
        (b"\n" * 1_000_000 + EVENT, 1),
        ((EVENT + b"\n") * 100_000, 100_000),
        (long_event(MAX_LINE_BYTES - 1) + b"\n" + EVENT, 2),
        (long_event(MAX_LINE_BYTES) + b"\n" + EVENT, 1),
        (long_event(MAX_LINE_BYTES), 1),
        (long_event(MAX_LINE_BYTES + 1), 0),
        (EVENT + b"\n" + long_event(5 * MAX_LINE_BYTES) + b"\n" + EVENT + b"\n" + EVENT, 3),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_events_are_counted_however_long_lines_are(content: bytes, events: int) -> None:
    assert count_events(io.BytesIO(content)) == (events, len(content))


class _Endless(io.RawIOBase):
    """A line of so many bytes, which nothing holds whole."""

    def __init__(self, size: int) -> None:
        self._left = size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        size = min(len(buffer), self._left)
        buffer[:size] = b"0" * size
        self._left -= size
        return size


def test_a_line_without_end_needs_little_memory() -> None:
    size = 64 * MAX_LINE_BYTES
    tracemalloc = pytest.importorskip("tracemalloc", reason="this interpreter does not count memory")
    tracemalloc.start()
    try:
        assert count_events(io.BufferedReader(_Endless(size))) == (0, size)
        assert tracemalloc.get_traced_memory()[1] < 8 * MAX_LINE_BYTES
    finally:
        tracemalloc.stop()
