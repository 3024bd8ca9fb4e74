"""The summary of a day archive. It lies beside the archive in the bucket, and fills the manifest."""

import builtins
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Annotated

import orjson
from pydantic import Field, TypeAdapter, ValidationError

Count = Annotated[int, Field(ge=0, lt=2**53)]  # what every reader of JSON takes exactly
Crc32 = Annotated[int, Field(ge=0, le=0xFFFF_FFFF)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, Field(min_length=1)]
Moment = Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z$")]


@dataclass(frozen=True, slots=True)
class UnreadableLine:
    """A line that is no event: the key of its source object, and its number from 1."""

    object: Name
    line: Count


@dataclass(frozen=True, slots=True)
class SourceSummary:
    """The counts of one source object.

    Attributes:
        object: its key in the raw bucket.
        size: bytes as stored.
        events: events that were selected from it.
        bytes: uncompressed bytes of its member; 0 when it has none.
        unreadable: its lines that are no events and may belong to the resource.
        member: name of its member; None when it has none.
    """

    object: Name
    etag: str
    size: Count
    events: Count
    bytes: Count
    unreadable: Count
    member: Name | None = None


@dataclass(frozen=True, slots=True)
class DaySummary:
    """The counts and checksums of a finished day archive.

    Attributes:
        key: of the archive's object in the exhaust bucket, see StoredDay.
        size: bytes of the archive.
        crc32: of the archive.
        sha256: of the archive, 64 hex digits.
        events: events in it.
        bytes: uncompressed bytes of its members.
        unreadable: lines of its source objects that are no events and may belong to the resource. Where the plain id
            of the resource's owner was known, these are the lines that hold it.
        duplicates: events whose `mid` an earlier one has; none was removed.
        versions: events by telemetry version.
        unreadable_lines: the first hundred of them.
        first_received: ISO 8601 in UTC with milliseconds; None when the names of the sources do not tell.
        tags: the filter of the archive, empty for all events; None in summaries of earlier versions, which do not say.
        first_event: when the device says that the earliest event happened, in the same form; None when none says so.
    """

    day: date
    key: Name
    size: Count
    crc32: Crc32
    sha256: Sha256
    events: Count
    bytes: Count
    unreadable: Count
    duplicates: Count
    versions: dict[str, Count]
    sources: tuple[SourceSummary, ...]
    unreadable_lines: tuple[UnreadableLine, ...]
    first_received: Moment | None
    last_received: Moment | None
    first_event: Moment | None
    last_event: Moment | None
    tags: tuple[str, ...] | None = None

    def to_json(self) -> builtins.bytes:
        """Return the summary as JSON; equal summaries give equal bytes."""
        return orjson.dumps(self)

    @staticmethod
    def from_json(data: builtins.bytes) -> "DaySummary":
        """Read a summary.

        Raises:
            ValueError: not JSON, or a field is missing or wrong; says which. Unknown fields are ignored.
        """
        try:
            return _reader().validate_json(data, strict=True)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, first["loc"])) or "the whole"
            raise ValueError(f"day summary: {where}: {first['msg']}") from error


@cache
def _reader() -> TypeAdapter[DaySummary]:
    return TypeAdapter(DaySummary)
