"""Records of a topic, and the headers of dead letters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MAX_REASON: Final = 1000  # characters


@dataclass(frozen=True, slots=True)
class Record:
    """A record of a topic, undecoded."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes
    headers: tuple[tuple[str, bytes], ...]

    def header(self, name: str) -> str:
        """Return the last header of a name as text, or the empty string."""
        values = [value for header, value in self.headers if header == name and value is not None]
        return values[-1].decode(errors="replace") if values else ""


class RejectedRecordError(Exception):
    """A record that no retry can help; raised by a handler, it sends the record to the dead-letter topic."""


def dead_letter_headers(record: Record, group: str, error: Exception) -> list[tuple[str, bytes]]:
    """Return the headers of a dead letter: the record's own, and dl_… ones with its place, its reader and the error."""
    return [
        *record.headers,
        ("dl_topic", record.topic.encode()),
        ("dl_partition", str(record.partition).encode()),
        ("dl_offset", str(record.offset).encode()),
        ("dl_group", group.encode()),
        ("dl_error", f"{type(error).__name__}: {error}"[:MAX_REASON].encode(errors="replace")),
    ]
