"""Records of a topic, and what a dead letter says of one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MAX_REASON: Final = 1000  # characters


@dataclass(frozen=True, slots=True)
class Record:
    """A record as it lies on the topic."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes
    headers: tuple[tuple[str, bytes], ...]

    def header(self, name: str) -> str:
        """The last header of that name as text, or the empty string."""
        values = [value for header, value in self.headers if header == name and value is not None]
        return values[-1].decode(errors="replace") if values else ""


class RejectedRecordError(Exception):
    """A handler's verdict: this record cannot be worked on, now or later; it belongs on the dead-letter topic."""


def dead_letter_headers(record: Record, group: str, error: Exception) -> list[tuple[str, bytes]]:
    """The record's own headers, and dl_… ones: where from, for whom, and why."""
    return [
        *record.headers,
        ("dl_topic", record.topic.encode()),
        ("dl_partition", str(record.partition).encode()),
        ("dl_offset", str(record.offset).encode()),
        ("dl_group", group.encode()),
        ("dl_error", f"{type(error).__name__}: {error}"[:MAX_REASON].encode(errors="replace")),
    ]
