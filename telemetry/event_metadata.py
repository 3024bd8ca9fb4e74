"""The metadata of an event, whoever owns it: when it happened, its id, its version."""

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
    """Return when the event happened by the clock of its device, in ms since 1970; None when the event does not say.

    That is `ets` in every version, in ms. Where it is missing or 0, as in old files, it is `ts` of 1.0 and 2.x: ISO
    8601 with its offset from UTC.
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
    """Return the `mid` of 2.x and 3.x, which ought to be unique; None when the event has none."""
    mid = event.get("mid")
    return mid if isinstance(mid, str) and mid else None


def schema_version(event: _Event) -> str:
    """Return the `ver` as it is written, cut to the length of the longest real one; "none" when there is none."""
    version = event.get("ver")
    if isinstance(version, int | float) and not isinstance(version, bool):
        version = str(version)
    return version[:_LONGEST_VERSION] if isinstance(version, str) and version else UNVERSIONED


def event_times(events: Sequence[_Event]) -> list[int]:
    """Return the `event_time` of each event that has one."""
    stamps = _member_of_all(events, "ets", int)
    if stamps and min(stamps) > 0 and max(stamps) < _LATEST_MS:
        return stamps
    return [moment for moment in map(event_time, events) if moment is not None]


def message_ids(events: Sequence[_Event]) -> list[str]:
    """Return the `message_id` of each event that has one."""
    return _member_of_all(events, "mid", str) or [mid for mid in map(message_id, events) if mid]


def schema_versions(events: Sequence[_Event]) -> Counter[str]:
    """Count the events of each `schema_version`."""
    counted = Counter(_member_of_all(events, "ver", str))
    if counted and max(map(len, counted)) <= _LONGEST_VERSION:
        return counted
    return Counter(map(schema_version, events))


def _member_of_all(events: Sequence[_Event], key: str, kind: type[_T]) -> list[_T] | None:
    """Return one member of all events, which costs little for many at once.

    Return None unless each event has it, of exactly this type, and neither blank nor 0.
    """
    try:
        found = [*map(itemgetter(key), events)]
    except KeyError:
        return None
    return found if {*map(type, found)} == {kind} and all(found) else None
