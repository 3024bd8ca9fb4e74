"""Kafka's topics in full, read from the broker's own log files: no driver and no group of ours has a part in it.

The format is that of record batches, version 2 (https://kafka.apache.org/documentation/#recordbatch), and of the keys
and values of __consumer_offsets (GroupMetadataManager's OffsetCommitKey 0 and 1, OffsetCommitValue 0 to 4).
"""

from __future__ import annotations

import gzip
import re
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OFFSETS: Final = "__consumer_offsets"
_FOLDER: Final = re.compile(r"(?P<topic>.+)-(?P<partition>[0-9]+)")
_BATCH: Final = struct.Struct(">qiibIhiqqqhii")
_LENGTH_BEFORE: Final = 12  # bytes of a batch that its length does not count
_CODEC, _IS_CONTROL = 0x07, 0x20
UNREADABLE: Final = b"\0chaos: a codec that is not installed"


@dataclass(frozen=True, slots=True)
class Stored:
    """A record as the broker keeps it."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[bytes, bytes], ...]

    def header(self, name: str) -> str:
        """The last header of that name, or the empty string."""
        found = [value for known, value in self.headers if known == name.encode()]
        return found[-1].decode(errors="replace") if found else ""


@dataclass(frozen=True, slots=True)
class Committed:
    """An offset that a group committed."""

    group: str
    topic: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class KafkaLog:
    """The folder in which a broker keeps its topics."""

    folder: Path

    def partitions(self, topic: str) -> list[int]:
        found = (_FOLDER.fullmatch(path.name) for path in self.folder.iterdir() if path.is_dir())
        return sorted(int(match["partition"]) for match in found if match is not None and match["topic"] == topic)

    def records(self, topic: str) -> Iterator[Stored]:
        """Yield all records of a topic, partition by partition, in the order of their offsets."""
        for partition in self.partitions(topic):
            for batch in self._batches(topic, partition):
                yield from batch.records(topic, partition)

    def ends(self, topic: str) -> dict[int, int]:
        """Return the next offset of each partition."""
        return {
            partition: max((batch.last_offset + 1 for batch in self._batches(topic, partition)), default=0)
            for partition in self.partitions(topic)
        }

    def commits(self) -> Iterator[Committed]:
        """Yield all offsets that groups committed, of each group in the order in which it did."""
        for record in self.records(OFFSETS):
            found = _committed(record)
            if found is not None:
                yield found

    def _batches(self, topic: str, partition: int) -> Iterator[_Batch]:
        for path in sorted((self.folder / f"{topic}-{partition}").glob("*.log")):
            data = path.read_bytes()
            place = 0
            while place + _BATCH.size <= len(data):
                header = _BATCH.unpack_from(data, place)
                end = place + _LENGTH_BEFORE + header[1]
                if header[1] <= 0 or end > len(data):
                    break  # still being written
                yield _Batch(header[0], header[5], header[6], header[12], data[place + _BATCH.size : end])
                place = end


@dataclass(frozen=True, slots=True)
class _Batch:
    base_offset: int
    attributes: int
    last_delta: int
    count: int
    body: bytes

    @property
    def last_offset(self) -> int:
        return self.base_offset + self.last_delta

    def records(self, topic: str, partition: int) -> Iterator[Stored]:
        if self.attributes & _IS_CONTROL:
            return
        codec = self.attributes & _CODEC
        if codec not in {0, 1}:
            yield Stored(topic, partition, self.base_offset, None, UNREADABLE, ())
            return
        reader = _Reader(gzip.decompress(self.body) if codec else self.body)
        for _ in range(self.count):
            reader.varint()  # length
            reader.take(1)  # attributes
            reader.varint()  # timestamp
            offset = self.base_offset + reader.varint()
            key, value = reader.sized(), reader.sized()
            headers = tuple((reader.sized() or b"", reader.sized() or b"") for _ in range(reader.varint()))
            yield Stored(topic, partition, offset, key, value, headers)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._place = 0

    def take(self, size: int) -> bytes:
        self._place += size
        return self._data[self._place - size : self._place]

    def varint(self) -> int:
        """Read a zigzag-coded number of variable length."""
        number = shift = 0
        while True:
            [byte] = self.take(1)
            number |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return (number >> 1) ^ -(number & 1)

    def sized(self) -> bytes | None:
        size = self.varint()
        return None if size < 0 else self.take(size)

    def text(self) -> str:
        [size] = struct.unpack(">h", self.take(2))
        return self.take(size).decode()


def _committed(record: Stored) -> Committed | None:
    if record.key is None or record.value is None:
        return None
    key = _Reader(record.key)
    if struct.unpack(">h", key.take(2))[0] not in {0, 1}:
        return None  # of a group's members, not of an offset
    group, topic = key.text(), key.text()
    [partition] = struct.unpack(">i", key.take(4))
    [offset] = struct.unpack(">q", record.value[2:10])
    return Committed(group, topic, int(partition), int(offset))
