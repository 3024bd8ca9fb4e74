"""What an event says of itself, whoever's it is: when it happened, its id, its version."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST_MS: Final = 253_402_300_800_000  # the year 10000, behind which ISO 8601 has no common form
UNVERSIONED: Final = "none"


def event_time(event: Mapping[str, object]) -> int | None:
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


def message_id(event: Mapping[str, object]) -> str | None:
    """The `mid` of 2.x and 3.x, which ought to be an event's own; None when it has none."""
    mid = event.get("mid")
    return mid if isinstance(mid, str) and mid else None


def schema_version(event: Mapping[str, object]) -> str:
    """The `ver` as it is written, or "none"; no longer than any real one."""
    version = event.get("ver")
    return version[:16] if isinstance(version, str) and version else UNVERSIONED
