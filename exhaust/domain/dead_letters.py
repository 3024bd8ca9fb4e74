"""Dead letters: what is known of each without its bytes, and the rules by which one may be redriven. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from exhaust.errors import ErrorCode, ExhaustError
from schemas.events import TOPIC_COMPLETIONS, TOPIC_DAYS, TOPIC_REQUESTS

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from uuid import UUID

MAX_REPLAYS: Final = 3
TARGET_TOPICS: Final = frozenset({TOPIC_REQUESTS, TOPIC_DAYS, TOPIC_COMPLETIONS})
# By code: a letter that is no record, or not byte for byte the one that came.
NOT_THE_RECORD: Final = {
    "UNREADABLE": "it could not be read, so it is not byte for byte the record that came",
    "TOMBSTONE": "the record had no value, and no topic of ours takes such",
}
_PLACE: Final = re.compile(r"([0-9]{1,9})/([0-9]{1,18})", re.ASCII)


class LetterPlace(NamedTuple):
    """Where a dead letter lies on the topic of dead letters; also its name."""

    partition: int
    offset: int

    def __str__(self) -> str:
        """Return it as operators write it."""
        return f"{self.partition}/{self.offset}"

    @staticmethod
    def parse(text: str) -> LetterPlace:
        """Return the place that an operator wrote.

        Raises:
            ExhaustError: INVALID_DATA_ERROR.
        """
        found = _PLACE.fullmatch(text)
        if found is None:
            raise ExhaustError(
                ErrorCode.INVALID_DATA_ERROR, "a dead letter is named by its partition and its offset, such as 3/1042"
            )
        return LetterPlace(int(found[1]), int(found[2]))


class LetterState(StrEnum):
    """The state of a dead letter.

    Attributes:
        WAITING: nobody has redriven it.
        SENDING: a run has it in hand; or had, and was killed.
        REDRIVEN: its record is on its topic once more.
    """

    WAITING = "waiting"
    SENDING = "sending"
    REDRIVEN = "redriven"


@dataclass(frozen=True, slots=True)
class LetterCounts:
    """How many dead letters there are.

    Attributes:
        waiting: those that nobody has redriven.
        today: those that came since midnight, UTC.
        undelivered: of those that wait, those of other services that may be redriven. Before Kafka deletes them,
            somebody has to say what becomes of them.
        oldest: since when the oldest undelivered one waits; None without any.
    """

    waiting: int = 0
    today: int = 0
    undelivered: int = 0
    oldest: datetime | None = None


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter, without its bytes.

    Attributes:
        place: where it lies.
        written_at: when it came there.
        topic: of the record; empty when the letter does not say.
        record_partition: of the record.
        record_offset: of the record.
        group: that could not work on the record.
        code: why, in one word.
        pointer: the wrong place of the value, as a JSON pointer.
        error: why, in a sentence.
        source: who sent the record, by its own word.
        request_id: that the record is about, if it tells one.
        object: the source object that it is about, if it tells one.
        size: of the record's value, in bytes.
        digest: SHA-256 of the value that the letter holds.
        truncated: the parts of the record that were cut; empty for none.
        replays: how often the record was redriven before.
    """

    place: LetterPlace
    written_at: datetime | None
    topic: str
    record_partition: int | None
    record_offset: int | None
    group: str
    code: str
    pointer: str
    error: str
    source: str
    request_id: UUID | None
    object: str
    size: int
    digest: bytes
    truncated: str
    replays: int


@dataclass(frozen=True, slots=True)
class LetterCause:
    """Dead letters of one cause.

    Attributes:
        waiting: those that nobody has redriven.
        first: when the first of them came.
        latest: when the last of them came.
    """

    code: str
    source: str
    object: str
    topic: str
    letters: int
    waiting: int
    first: datetime | None
    latest: datetime | None


@dataclass(frozen=True, slots=True)
class LetterFilter:
    """The conditions of a search for dead letters; None sets no condition."""

    code: str | None = None
    source: str | None = None
    source_object: str | None = None
    topic: str | None = None
    request_id: UUID | None = None
    state: LetterState | None = None
    since: datetime | None = None

    def matches(self, letter: Letter) -> bool:
        """Return True for a letter that meets all conditions but that of the state, which only the index knows."""
        conditions = (
            (self.code, letter.code),
            (self.source, letter.source),
            (self.source_object, letter.object),
            (self.topic, letter.topic),
            (self.request_id, letter.request_id),
        )
        if self.since is not None and (letter.written_at is None or letter.written_at < self.since):
            return False
        return all(wanted is None or wanted == present for wanted, present in conditions)


def causes_of(letters: Iterable[Letter]) -> list[LetterCause]:
    """Return the causes of letters, that of the latest letter first. Nobody is known to have redriven any."""
    groups: dict[tuple[str, str, str, str], list[Letter]] = {}
    for letter in letters:
        groups.setdefault((letter.code, letter.source, letter.object, letter.topic), []).append(letter)
    causes = []
    for cause, found in groups.items():
        times = [letter.written_at for letter in found if letter.written_at is not None]
        causes.append(LetterCause(*cause, len(found), len(found), min(times, default=None), max(times, default=None)))
    return sorted(causes, key=lambda cause: cause.latest.timestamp() if cause.latest else 0.0, reverse=True)


def redrive_refusal(letter: Letter) -> str:
    """Return why a letter may not be redriven, in a clause; empty when it may."""
    if letter.topic not in TARGET_TOPICS:
        return f"it names no topic of ours to go to ({letter.topic[:100]!r})"
    if letter.truncated:
        return f"it was cut ({letter.truncated}), so it is not the record any more"
    if letter.code in NOT_THE_RECORD:
        return NOT_THE_RECORD[letter.code]
    if letter.replays >= MAX_REPLAYS:
        return f"it was redriven {letter.replays} times already; {MAX_REPLAYS} are the most"
    return ""
