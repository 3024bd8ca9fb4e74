"""What an event says of itself, whoever's it is: when it happened, its id, its version."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from operator import itemgetter
from typing import Final, TypeAlias, TypeVar

_Event: TypeAlias = Mapping[str, object]
_T = TypeVar("_T")

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST_MS: Final = 253_402_300_800_000  # the year 10000, behind which ISO 8601 has no common form
UNVERSIONED: Final = "none"
_LONGEST_VERSION: Final = 16


def event_time(event: _Event) -> int | None:
    """When the device says that the event happened, in ms since 1970; None when it does not say.

    `ets` of every version, in ms; where it is missing or 0, as in old files, `ts` of 1.0 and 2.x: ISO 8601 with its
    offset from UTC.
    """
    ets = event.get("ets")
    if isinstance(ets, int | float) and 0 < ets < _LATEST_MS:
        return int(ets)
    written = event.get("ts")
    if not isinstance(written, str):
        return None
    try:
        moment = datetime.fromisoformat(written)
        sent = round((moment - _EPOCH).total_seconds() * 1000) if moment.tzinfo else _LATEST_MS
    except (ValueError, OverflowError):
        return None
    return sent if sent < _LATEST_MS else None


def message_id(event: _Event) -> str | None:
    """The `mid` of 2.x and 3.x, which ought to be an event's own; None when it has none."""
    mid = event.get("mid")
    return mid if isinstance(mid, str) and mid else None


def schema_version(event: _Event) -> str:
    """The `ver` as it is written, or "none"; no longer than any real one."""
    version = event.get("ver")
    return version[:_LONGEST_VERSION] if isinstance(version, str) and version else UNVERSIONED


def event_times(events: Sequence[_Event]) -> list[int]:
    """The event_time of each that has one."""
    stamps = _every(events, "ets", int)
    if stamps and min(stamps) > 0 and max(stamps) < _LATEST_MS:
        return stamps
    return [moment for moment in map(event_time, events) if moment is not None]


def message_ids(events: Sequence[_Event]) -> list[str]:
    """The message_id of each that has one."""
    return _every(events, "mid", str) or [mid for mid in map(message_id, events) if mid]


def schema_versions(events: Sequence[_Event]) -> Counter[str]:
    """How many events are of each schema_version."""
    counted = Counter(_every(events, "ver", str))
    if counted and max(map(len, counted)) <= _LONGEST_VERSION:
        return counted
    return Counter(map(schema_version, events))


def _every(events: Sequence[_Event], key: str, kind: type[_T]) -> list[_T] | None:
    """The same member of all events, which costs little for many at once.

    None unless each event has it, of exactly this type, and neither blank nor 0.
    """
    try:
        found = [*map(itemgetter(key), events)]
    except KeyError:
        return None
    return found if {*map(type, found)} == {kind} and all(found) else None
