"""The reading of record batches that the driver cannot read: as much of each as can be read.

The format is Kafka's own (https://kafka.apache.org/documentation/#messageformat). The driver gives up a whole poll for
one header that is not UTF-8; here a record that cannot be read costs that record, and a batch that cannot be
decompressed costs that batch.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from aiokafka.codec import gzip_decode, lz4_decode, snappy_decode, zstd_decode
from aiokafka.record.util import calc_crc32c
from aiokafka.record.util import decode_varint_py as decode_varint  # the fast one reads beyond the end

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HEADER: Final = struct.Struct(">qiibIhiqqqhii")
BEFORE_LENGTH_ENDS: Final = 12  # bytes: the length counts what follows it
BEFORE_ATTRIBUTES: Final = 21  # bytes; the checksum covers the rest
MAGIC: Final = 2  # the only version of the format that Kafka 4 writes
CODEC, TRANSACTIONAL, CONTROL = 0x07, 0x10, 0x20
CODECS: Final[dict[int, Callable[[bytes], bytes]]] = {
    0: bytes,
    1: gzip_decode,
    2: snappy_decode,
    3: lz4_decode,
    4: zstd_decode,
}
ABORT: Final = b"\x00\x00\x00\x00"  # the key of the mark that ends an aborted transaction: version 0, type 0
KEPT_BYTES: Final = 64 * 1024  # of what cannot be read


@dataclass(frozen=True, slots=True)
class FoundRecord:
    """A record, or offsets of which no record can be read.

    Attributes:
        offset: the first offset.
        following: the offset after the last.
        key: None also where it cannot be read.
        value: likewise; where nothing can be read, the beginning of the bytes that hold it.
        headers: those that can be read, with names in which bytes that are not UTF-8 are escaped.
        problem: why it cannot be read; empty for a record like any other.
    """

    offset: int
    following: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    problem: str = ""


@dataclass(frozen=True, slots=True)
class FoundBatch:
    """The records of a batch, in order, and the offset after it."""

    records: tuple[FoundRecord, ...]
    following: int


@dataclass(frozen=True, slots=True)
class _Batch:
    first: int
    last: int
    attributes: int
    producer: int
    count: int
    raw: bytes

    def problem(self) -> str:
        magic, crc = struct.unpack_from(">bI", self.raw, BEFORE_LENGTH_ENDS + 4)
        if magic != MAGIC:
            return f"a batch in version {magic} of the format"
        if calc_crc32c(self.raw[BEFORE_ATTRIBUTES:]) != crc:
            return "the checksum of the batch is wrong"
        if self.attributes & CODEC not in CODECS:
            return f"unknown codec {self.attributes & CODEC}"
        return ""


def read_next_batch(data: bytes, position: int, aborted: tuple[tuple[int, int], ...] = ()) -> FoundBatch | None:
    """Read the first batch from a position on that is neither a mark nor part of an aborted transaction.

    Args:
        data: batches as they lie in the log.
        position: of the first record to return.
        aborted: the producer and the first offset of each aborted transaction.

    Returns:
        What the batch holds; without records if there are only batches to pass over; None if there is none.
    """
    waiting = sorted(aborted, key=lambda transaction: transaction[1])
    aborting: set[int] = set()
    passed = None
    for batch in _batches(data, position):
        while waiting and waiting[0][1] <= batch.first:
            aborting.add(waiting.pop(0)[0])
        if batch.attributes & CONTROL and any(record.key == ABORT for record in _records(batch)):
            aborting.discard(batch.producer)
        if batch.last < position:
            continue
        skipped = batch.attributes & CONTROL or (batch.attributes & TRANSACTIONAL and batch.producer in aborting)
        found = () if skipped else tuple(record for record in _records(batch) if record.following > position)
        passed = FoundBatch(found, batch.last + 1)
        if found:
            break
    return passed


def _batches(data: bytes, position: int) -> Iterator[_Batch]:
    start = 0
    while start + HEADER.size <= len(data):
        first, length, _, magic, _, attributes, last_delta, _, _, producer, _, _, count = HEADER.unpack_from(
            data, start
        )
        end = start + BEFORE_LENGTH_ENDS + length
        if end > len(data):
            return
        raw = data[start:end]
        if magic != MAGIC or end - start < HEADER.size:
            # Older versions give their last offset first, and have nothing else where this one has it.
            yield _Batch(min(first, position), max(first, position), 0, -1, 0, raw.ljust(HEADER.size, b"\0"))
            return
        yield _Batch(first, first + last_delta, attributes, producer, count, raw)
        start = end


def _records(batch: _Batch) -> Iterator[FoundRecord]:
    problem = batch.problem()
    payload = b""
    if not problem:
        try:
            payload = bytes(CODECS[batch.attributes & CODEC](batch.raw[HEADER.size :]))
        except Exception as error:  # noqa: BLE001 -- five codecs raise what they like, and it is a stranger's input
            problem = f"{type(error).__name__}: {error}"
    offset, at = batch.first, 0
    for _ in range(0 if problem else batch.count):
        try:
            record, at = _record(payload, at, batch.first)
        except (IndexError, ValueError) as error:
            problem = f"a record of impossible lengths: {error}"
            break
        yield record
        offset = record.following
    if problem:
        yield FoundRecord(offset, batch.last + 1, None, batch.raw[:KEPT_BYTES], (), problem)


def _record(payload: bytes, at: int, first: int) -> tuple[FoundRecord, int]:
    """Return the record at a place of a batch, and the place of the next.

    Raises:
        IndexError: the record goes beyond the batch.
        ValueError: its lengths contradict one another.
    """
    length, at = decode_varint(payload, at)
    end = at + length
    if not at < end <= len(payload):
        raise ValueError(f"{length} bytes of {len(payload) - at}")
    _, at = decode_varint(payload, at + 1)  # attributes and time
    delta, at = decode_varint(payload, at)
    key, at = _bytes(payload, at, end)
    value, at = _bytes(payload, at, end)
    count, at = decode_varint(payload, at)
    headers, problem = [], ""
    for _ in range(count):
        name, at = _bytes(payload, at, end)
        content, at = _bytes(payload, at, end)
        text = (name or b"").decode(errors="backslashreplace")
        if text.encode() != (name or b""):
            problem = "a header whose name is not UTF-8"
        headers.append((text, content or b""))
    if at != end:
        problem = "lengths that do not add up"
    offset = first + delta
    return FoundRecord(offset, offset + 1, key, value, tuple(headers), problem), end


def _bytes(payload: bytes, at: int, end: int) -> tuple[bytes | None, int]:
    length, at = decode_varint(payload, at)
    if length < 0:
        return None, at
    if at + length > end:
        raise ValueError(f"{length} bytes of {end - at}")
    return payload[at : at + length], at + length
