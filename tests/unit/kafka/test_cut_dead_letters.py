"""The dead letter of a record that does not fit."""

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from exhaust.kafka.dead_letters import HEAD_BYTES, KEPT_KEY_BYTES, DeadLetter, cut, fits
from exhaust.kafka.producer import MAX_RECORD_BYTES
from exhaust.kafka.records import Record

ADDED = [("dl_topic", b"t"), ("dl_error", b"e" * 4000)]


def record(key: bytes | None, value: bytes, headers: list[tuple[str, bytes]]) -> Record:
    return Record("t", 0, 7, key, value, tuple(headers))


@given(
    st.none() | st.integers(0, 3 * KEPT_KEY_BYTES),
    st.integers(0, 3 * HEAD_BYTES),
    st.lists(st.tuples(st.text(max_size=5), st.integers(0, 10_000)), max_size=10),
)
def test_what_is_cut_always_fits_and_tells_what_is_missing(
    key_size: int | None, size: int, headers: list[tuple[str, int]]
) -> None:
    key = None if key_size is None else b"k" * key_size
    given_headers = [(name, b"h" * length) for name, length in headers]
    letter = cut(record(key, b"v" * size, given_headers), ADDED)
    assert fits(letter)
    told = dict(letter.headers)
    missing = set(told["dl_truncated"].decode().split(",")) - {""}
    assert ("value" in missing) == (size > HEAD_BYTES)
    assert ("key" in missing) == (key_size is not None and key_size > KEPT_KEY_BYTES)
    own = letter.headers[: -len(ADDED) - 3]
    assert own == given_headers[: len(own)]
    assert ("headers" in missing) == (len(own) < len(given_headers))
    assert letter.headers[len(own) : len(own) + len(ADDED)] == ADDED
    assert told["dl_size"] == str(size).encode()
    assert told["dl_sha256"] == hashlib.sha256(b"v" * size).hexdigest().encode()


def test_a_dead_letter_needs_room_for_its_frame() -> None:
    assert fits(DeadLetter(None, b"x" * (MAX_RECORD_BYTES - 16 * 1024), []))
    assert not fits(DeadLetter(None, b"x" * (MAX_RECORD_BYTES - 16 * 1024 + 1), []))
