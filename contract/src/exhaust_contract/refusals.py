"""The codes with which an event is refused, what each means, and what to do about it."""

from __future__ import annotations

from enum import Enum
from typing import Final, NamedTuple


class RefusalCode(str, Enum):
    """The reason why an event does not count, in one word."""

    NOT_JSON = "NOT_JSON"
    SCHEMA = "SCHEMA"
    TOMBSTONE = "TOMBSTONE"
    TYPE_MISMATCH = "TYPE_MISMATCH"
    ARCHIVE_OUTSIDE_PREFIX = "ARCHIVE_OUTSIDE_PREFIX"
    NOT_YOURS = "NOT_YOURS"
    UNKNOWN_REQUEST = "UNKNOWN_REQUEST"
    ATTEMPT_UNKNOWN = "ATTEMPT_UNKNOWN"
    DAY_OUTSIDE = "DAY_OUTSIDE"
    ARCHIVE_MISSING = "ARCHIVE_MISSING"
    ARCHIVE_DIFFERS = "ARCHIVE_DIFFERS"

    __str__ = str.__str__


class Explanation(NamedTuple):
    """What a code means.

    Attributes:
        means: a sentence.
        do: what helps.
    """

    means: str
    do: str


# Those that `exhaust-events validate` finds come first; the others need the request or the store.
EXPLANATIONS: Final = {
    RefusalCode.NOT_JSON: Explanation(
        "The value is no JSON: not UTF-8, not well formed, with NaN or Infinity, half of a surrogate pair, or nested"
        " more than 100 deep.",
        "Write the value with a JSON library, as UTF-8 without a byte order mark.",
    ),
    RefusalCode.SCHEMA: Explanation(
        "The value or a header does not follow its schema. The pointer names the first wrong place of the value; it is"
        " empty when a header is wrong, which the sentence names.",
        "Compare the place with the schema. Numbers are numbers, never text.",
    ),
    RefusalCode.TOMBSTONE: Explanation("The record has no value.", "Send one; none of the topics is compacted."),
    RefusalCode.TYPE_MISMATCH: Explanation(
        "`ce_type` does not agree with `status`.", "Set `ce_type` by `status`, as the builders do."
    ),
    RefusalCode.ARCHIVE_OUTSIDE_PREFIX: Explanation(
        "The archive is no object of the request and attempt.",
        "Write it right under `requests/<request id>/attempt-<n>/`, under a plain name.",
    ),
    RefusalCode.NOT_YOURS: Explanation(
        "`ce_source` may not report this request.",
        "Have the source named as `executor` of the dataset in the catalogue, and send it exactly so.",
    ),
    RefusalCode.UNKNOWN_REQUEST: Explanation(
        "No request has this id, or the request asks for other data than `workid` says.",
        "Take `requestid` from the record of `dataset.requests`, and leave `workid` out.",
    ),
    RefusalCode.ATTEMPT_UNKNOWN: Explanation(
        "This attempt was never started.", "Take `attempt` from the record of `dataset.requests`."
    ),
    RefusalCode.DAY_OUTSIDE: Explanation("The day is none of the request's.", "Report the request's days alone."),
    RefusalCode.ARCHIVE_MISSING: Explanation(
        "The archive is not in the store.", "Report an archive after the store has confirmed it."
    ),
    RefusalCode.ARCHIVE_DIFFERS: Explanation(
        "The object is another than the event says.", "Send the size of the object as the store has it."
    ),
}


class RefusedEventError(Exception):
    """An event that must not count.

    Args:
        code: why, in one word.
        reason: why, in a sentence.
        pointer: the wrong place of the value as a JSON pointer (RFC 6901); empty for the whole, and for headers.
    """

    def __init__(self, code: RefusalCode, reason: str, pointer: str = "") -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.pointer = pointer
