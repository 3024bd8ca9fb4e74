"""As much of a batch is read as can be read."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest
from aiokafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c
from hypothesis import given
from hypothesis import strategies as st

from exhaust.kafka.record_batches import HEADER, KEPT_BYTES, FoundBatch, FoundRecord, read_next_batch

if TYPE_CHECKING:
    from collections.abc import Sequence

CODECS = range(5)
VALUES = (b"zero", b"one", b"two")


def batch(
    values: Sequence[bytes | None], *, first: int = 0, codec: int = 0, producer: int | None = None, name: str = "name"
) -> bytes:
    builder = DefaultRecordBatchBuilder(
        2, codec, producer is not None, -1 if producer is None else producer, 0, 0, 10**6
    )
    for offset, value in enumerate(values):
        builder.append(offset, timestamp=1, key=b"key", value=value, headers=[(name, b"content")])
    raw = bytearray(builder.build())
    struct.pack_into(">q", raw, 0, first)
    return bytes(raw)


def sealed(raw: bytes) -> bytes:
    """The batch with the checksum that it should have."""
    changed = bytearray(raw)
    struct.pack_into(">I", changed, 17, calc_crc32c(raw[21:]))
    return bytes(changed)


def control(*, first: int, producer: int, commit: bool) -> bytes:
    builder = DefaultRecordBatchBuilder(
        2, 0, is_transactional=1, producer_id=producer, producer_epoch=0, base_sequence=0, batch_size=10**6
    )
    builder.append(0, timestamp=1, key=struct.pack(">hh", 0, int(commit)), value=b"\0" * 6, headers=[])
    raw = bytearray(builder.build())
    struct.pack_into(">q", raw, 0, first)
    raw[22] |= 0x20
    return sealed(bytes(raw))


def read(data: bytes, position: int = 0, aborted: tuple[tuple[int, int], ...] = ()) -> FoundBatch:
    found = read_next_batch(data, position, aborted)
    assert found is not None
    return found


@pytest.mark.parametrize("codec", CODECS)
def test_a_sound_batch_is_read_like_the_driver_does(codec: int) -> None:
    raw = batch(VALUES, first=7, codec=codec)
    driver = [(record.offset, record.key, record.value, tuple(record.headers)) for record in DefaultRecordBatch(raw)]
    ours = [(record.offset, record.key, record.value, record.headers) for record in read(raw).records]
    assert ours == driver
    assert read(raw).following == 10
    assert not any(record.problem for record in read(raw).records)


def test_reading_begins_at_the_position() -> None:
    data = batch(VALUES) + batch(VALUES, first=3)
    assert [record.offset for record in read(data, 2).records] == [2]
    assert [record.offset for record in read(data, 3).records] == [3, 4, 5]
    assert read_next_batch(data, 6) is None
    assert read_next_batch(b"", 0) is None
    assert read_next_batch(data[:-1], 3) is None  # the rest of it comes with the next answer


def test_a_header_that_is_not_utf_8_costs_its_record_alone() -> None:
    raw = batch(VALUES, name="XXXX")
    second = raw.index(b"XXXX", raw.index(b"one"))
    found = read(sealed(raw[:second] + b"a\xff\\b" + raw[second + 4 :]))
    assert [record.value for record in found.records] == list(VALUES)
    assert [bool(record.problem) for record in found.records] == [False, True, False]
    assert found.records[1] == FoundRecord(
        1, 2, b"key", b"one", (("a\\xff\\b", b"content"),), "a header whose name is not UTF-8"
    )


@pytest.mark.parametrize("codec", CODECS)
def test_a_batch_with_a_wrong_checksum_is_one_problem(codec: int) -> None:
    raw = bytearray(batch(VALUES, first=4, codec=codec))
    raw[-1] ^= 1
    [found] = read(bytes(raw), 5).records
    assert (found.offset, found.following, found.value) == (4, 7, bytes(raw))
    assert "checksum" in found.problem


@pytest.mark.parametrize("codec", [1, 2, 3, 4, 5, 6, 7])
def test_a_batch_that_cannot_be_decompressed_is_one_problem(codec: int) -> None:
    raw = bytearray(batch([b"x" * 100_000]))
    raw[22] |= codec
    found = read(sealed(bytes(raw)))
    assert found.following == 1
    [record] = found.records
    assert record.problem
    assert record.value == sealed(bytes(raw))[:KEPT_BYTES]


def test_a_record_of_impossible_lengths_costs_the_rest_of_its_batch() -> None:
    raw = batch(VALUES)
    second = raw.index(b"one") - 1  # the length of the value
    found = read(sealed(raw[:second] + b"\x7e" + raw[second + 1 :]))
    assert [(record.offset, record.following, bool(record.problem)) for record in found.records] == [
        (0, 1, False),
        (1, 3, True),
    ]


def test_a_record_whose_lengths_do_not_add_up_costs_itself_alone() -> None:
    raw = batch(VALUES)
    second = raw.index(b"one") - 1
    found = read(sealed(raw[:second] + b"\x01" + raw[second + 1 :]))  # the length of null
    assert [bool(record.problem) for record in found.records] == [False, True, False]


def test_a_version_that_nobody_writes_is_passed_over() -> None:
    raw = bytearray(batch(VALUES, first=3))
    raw[16] = 1
    [found] = read(bytes(raw), 3).records
    assert (found.following, found.problem) == (4, "a batch in version 1 of the format")


def test_aborted_records_and_marks_are_passed_over() -> None:
    data = (
        batch([b"aborted"], first=0, producer=1)
        + batch([b"committed"], first=1, producer=2)
        + control(first=2, producer=1, commit=False)
        + batch([b"later"], first=3, producer=1)
        + control(first=4, producer=1, commit=True)
    )
    aborted = ((1, 0),)
    assert [record.value for record in read(data, 0, aborted).records] == [b"committed"]
    assert [record.value for record in read(data, 2, aborted).records] == [b"later"]
    assert read(data, 4, aborted) == FoundBatch((), 5)


def test_a_value_of_null_is_told_from_an_empty_one() -> None:
    assert [record.value for record in read(batch([None, b""])).records] == [None, b""]


@given(st.binary(max_size=300), st.integers(0, 3), st.sampled_from(CODECS))
def test_reading_what_a_stranger_wrote_always_gets_on(payload: bytes, position: int, codec: int) -> None:
    raw = bytearray(batch(VALUES)[: HEADER.size] + payload)
    struct.pack_into(">i", raw, 8, len(raw) - 12)
    raw[22] |= codec
    found = read_next_batch(sealed(bytes(raw)), position)
    if position >= 3:
        assert found is None
    else:
        assert found is not None
        assert found.following == 3
        assert all(record.following > position for record in found.records)
