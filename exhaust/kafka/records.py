"""Records of a topic, and the headers of dead letters."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime

MAX_REASON: Final = 1000  # characters


@dataclass(frozen=True, slots=True)
class Record:
    """A record of a topic, undecoded.

    Attributes:
        topic: it lies in this topic.
        partition: of the topic.
        offset: in the partition.
        key: None if it has none.
        value: empty for a tombstone.
        headers: in their order; a name may come twice.
        tombstone: its value is null, which tells Kafka to forget earlier records of its key.
        written_at: by the clock of whoever sent it, or of the broker; None when it is not known.
    """

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes
    headers: tuple[tuple[str, bytes], ...]
    tombstone: bool = False
    written_at: datetime | None = field(default=None, compare=False)

    def header(self, name: str) -> str:
        """Return the last header of a name as text, or the empty string."""
        values = [value for header, value in self.headers if header == name and value is not None]
        return values[-1].decode(errors="replace") if values else ""


class RejectionCode(StrEnum):
    """The reason why a record became a dead letter, in one word for headers, logs and metrics.

    Attributes:
        NOT_JSON: its value is no JSON.
        SCHEMA: its value does not follow the topic's schema, or its frame is no CloudEvent.
        TYPE_MISMATCH: its `ce_type` does not agree with its value.
        UNKNOWN_REQUEST: there is no request with this id, or the request asks for other work.
        ATTEMPT_UNKNOWN: the attempt was never started.
        NOT_YOURS: its `ce_source` may not report this request, or somebody else builds its dataset.
        ARCHIVE_OUTSIDE_PREFIX: its archive is no object of the request and attempt.
        ARCHIVE_MISSING: its archive does not exist.
        ARCHIVE_DIFFERS: its archive is another than it says, or not the one that the request asks for.
        DAY_OUTSIDE: its day is none of the request's days, or before 1970.
        RANGE_TOO_LARGE: it asks for more days than a request may have.
        UNKNOWN_DATASET: the catalogue of whoever builds datasets has none of this id.
        OWNER_MISMATCH: its owner does not own its resource.
        SOURCE_UNREADABLE: it is right, and raw telemetry of its day cannot be exported.
        WORK_FAILED: it is right, and its work failed for good.
        TOMBSTONE: it has no value; none of our topics is compacted.
        UNREADABLE: it, or its whole batch, cannot be read; what could be kept of it is there.
        INTERNAL: a defect of ours.
    """

    NOT_JSON = "NOT_JSON"
    SCHEMA = "SCHEMA"
    TYPE_MISMATCH = "TYPE_MISMATCH"
    UNKNOWN_REQUEST = "UNKNOWN_REQUEST"
    ATTEMPT_UNKNOWN = "ATTEMPT_UNKNOWN"
    NOT_YOURS = "NOT_YOURS"
    ARCHIVE_OUTSIDE_PREFIX = "ARCHIVE_OUTSIDE_PREFIX"
    ARCHIVE_MISSING = "ARCHIVE_MISSING"
    ARCHIVE_DIFFERS = "ARCHIVE_DIFFERS"
    DAY_OUTSIDE = "DAY_OUTSIDE"
    RANGE_TOO_LARGE = "RANGE_TOO_LARGE"
    UNKNOWN_DATASET = "UNKNOWN_DATASET"
    OWNER_MISMATCH = "OWNER_MISMATCH"
    SOURCE_UNREADABLE = "SOURCE_UNREADABLE"
    WORK_FAILED = "WORK_FAILED"
    TOMBSTONE = "TOMBSTONE"
    UNREADABLE = "UNREADABLE"
    INTERNAL = "INTERNAL"


class RejectedRecordError(Exception):
    """A record that no retry can help; raised by a handler, it sends the record to the dead-letter topic.

    Args:
        code: why, in one word.
        reason: why, in a sentence for operators.
        pointer: the wrong place of the record's value as a JSON pointer (RFC 6901); empty for the whole.
    """

    def __init__(self, code: RejectionCode, reason: str, pointer: str = "") -> None:
        super().__init__(reason)
        self.code = code
        self.pointer = pointer


def rejection_of(error: Exception) -> tuple[RejectionCode, str]:
    """Return the code and the pointer under which an error of a handler is known."""
    if isinstance(error, RejectedRecordError):
        return error.code, error.pointer
    return RejectionCode.INTERNAL, ""


def dead_letter_headers(record: Record, group: str, error: Exception) -> list[tuple[str, bytes]]:
    """Return the headers of a dead letter: the record's own, and dl_… ones with its place, its reader and the error."""
    code, pointer = rejection_of(error)
    return [
        *record.headers,
        ("dl_topic", record.topic.encode()),
        ("dl_partition", str(record.partition).encode()),
        ("dl_offset", str(record.offset).encode()),
        ("dl_group", group.encode()),
        ("dl_code", code.encode()),
        ("dl_pointer", pointer[:MAX_REASON].encode(errors="replace")),
        ("dl_error", f"{type(error).__name__}: {error}"[:MAX_REASON].encode(errors="replace")),
    ]
