"""Dead letters as they lie on their topic: what each tells of itself, and the record that it was."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from pydantic_core import from_json

from exhaust.domain.dead_letters import Letter, LetterPlace
from exhaust.kafka.records import RejectionCode
from schemas.events import TOPIC_DEAD_LETTERS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from exhaust.kafka.records import Record
    from exhaust.kafka.topic_reader import TopicReader

REPLAYS: Final = "dl_replays"  # of a record that was redriven: how often
REDRIVEN_FROM: Final = "dl_redriven_from"  # of the same: the letter that it was
_FIRST_ADDED: Final = "dl_topic"  # from the last one on, headers tell of the record and are not its own
_NUMBER: Final = re.compile(r"[0-9]{1,9}", re.ASCII)
_LONG_NUMBER: Final = re.compile(r"[0-9]{1,18}", re.ASCII)
# As services/aggregator/day_worker.py tells of a source object: the class, its code, the object, and why.
_SOURCE_OBJECT: Final = re.compile(r"\w+: [A-Z_]+: (?P<object>.+?): ", re.DOTALL)
_MAX_NAME: Final = 1024  # characters that the index keeps of what others have written


@dataclass(frozen=True, slots=True)
class Replay:
    """The record of a dead letter, as it goes to its topic once more."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]


async def read_letters(
    reader: TopicReader, known: Mapping[int, int], ends: Mapping[int, int]
) -> AsyncIterator[list[Letter]]:
    """Read the dead letters behind what is known.

    Args:
        reader: open.
        known: by partition, the offset to begin at.
        ends: by partition, the offset to stop before.

    Raises:
        ExhaustError: SERVICE_UNAVAILABLE.
    """
    for partition, end in sorted(ends.items()):
        async for records in reader.read(TOPIC_DEAD_LETTERS, partition, start=known.get(partition, 0), end=end):
            yield [letter_of(record) for record in records]


def letter_of(record: Record) -> Letter:
    """Return what a dead letter tells of itself. Anybody may have written it, so everything may be missing."""
    told = _json(record.value)
    error = _text(record, "dl_error")
    return Letter(
        place=LetterPlace(record.partition, record.offset),
        written_at=record.written_at,
        topic=_text(record, "dl_topic"),
        record_partition=_number(record, "dl_partition", _NUMBER),
        record_offset=_number(record, "dl_offset", _LONG_NUMBER),
        group=_text(record, "dl_group"),
        code=_text(record, "dl_code"),
        pointer=_text(record, "dl_pointer"),
        error=error,
        source=_text(record, "ce_source"),
        request_id=_request_id(told, record.key),
        object=_source_object(told, _text(record, "dl_code"), error),
        size=_number(record, "dl_size", _LONG_NUMBER) or len(record.value),
        digest=hashlib.sha256(record.value).digest(),
        truncated=_text(record, "dl_truncated"),
        replays=_number(record, REPLAYS, _NUMBER) or 0,
    )


def replay_of(record: Record) -> Replay:
    """Return the record that a dead letter was: its bytes, key and headers, and two that tell of the replay."""
    names = [name for name, _ in record.headers]
    own = len(names) - 1 - names[::-1].index(_FIRST_ADDED) if _FIRST_ADDED in names else len(names)
    kept = [(name, value) for name, value in record.headers[:own] if name not in {REPLAYS, REDRIVEN_FROM}]
    letter = letter_of(record)
    added = [(REPLAYS, str(letter.replays + 1).encode()), (REDRIVEN_FROM, str(letter.place).encode())]
    return Replay(letter.topic, record.key, None if record.tombstone else record.value, [*kept, *added])


def _text(record: Record, name: str) -> str:
    return _storable(record.header(name))


def _storable(text: str) -> str:
    return text.encode(errors="replace").decode().replace("\0", "\ufffd")[:_MAX_NAME]


def _number(record: Record, name: str, pattern: re.Pattern[str]) -> int | None:
    text = record.header(name)
    return int(text) if pattern.fullmatch(text) else None


def _json(value: bytes) -> Mapping[str, Any]:
    try:
        told = from_json(value)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _request_id(told: Mapping[str, Any], key: bytes | None) -> UUID | None:
    for text in (told.get("requestid"), (key or b"").decode(errors="replace")):
        try:
            return UUID(str(text))
        except ValueError:
            continue
    return None


def _source_object(told: Mapping[str, Any], code: str, error: str) -> str:
    failure = told.get("error")
    if isinstance(failure, dict) and isinstance(failure.get("object"), str):
        return _storable(failure["object"])
    found = _SOURCE_OBJECT.match(error) if code == RejectionCode.SOURCE_UNREADABLE else None
    return found["object"] if found else ""
