"""The state of a day of a resource, from its archive and its requests."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import date

    from exhaust.postgres.asked_days import AskedDay
    from services.status.day_records import BuiltDay


class DayState(StrEnum):
    """The states of a day.

    Attributes:
        OPEN: it is not over.
        UNKNOWN: nobody has asked for it yet, or its archive has expired.
        BUILDING: a request waits for it.
        READY: its archive is there, and has events.
        EMPTY: its archive is there; of what was received, nothing is the resource's.
        MISSING: nothing was received when its archive was built.
        UNREADABLE: it cannot be built, because its raw telemetry is damaged or too large.
    """

    OPEN = "open"
    UNKNOWN = "unknown"
    BUILDING = "building"
    READY = "ready"
    EMPTY = "empty"
    MISSING = "missing"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class KnownDay:
    """A day, and what is known of it."""

    day: date
    state: DayState
    built: BuiltDay | None

    def to_json(self) -> dict[str, object]:
        """Return it as answers show it; what is unknown is null."""
        record = self.built.record if self.built else None
        return {
            "date": self.day.isoformat(),
            "state": self.state,
            "events": record.events if record else None,
            "bytes": record.bytes if record else None,
            "built": record is not None,
        }


def known_day(day: date, built: BuiltDay | None, asked: AskedDay | None, *, today: date) -> KnownDay:
    """Return a day with its state; the later of an archive and of a failure counts.

    Args:
        day: the day.
        built: its archive, if there is one.
        asked: what its requests know.
        today: the present day in the day zone.
    """
    if day >= today:
        return KnownDay(day, DayState.OPEN, None)
    failed_at = asked.failed_at if asked else None
    if built is not None and (failed_at is None or failed_at <= built.built_at):
        return KnownDay(day, _state_of(built), built)
    if asked is not None and asked.building:
        return KnownDay(day, DayState.BUILDING, None)
    return KnownDay(day, DayState.UNKNOWN if failed_at is None else DayState.UNREADABLE, None)


def _state_of(built: BuiltDay) -> DayState:
    if built.record.events:
        return DayState.READY
    return DayState.EMPTY if built.record.sources else DayState.MISSING
