"""The times at which the platform received source objects, read from their names."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

# <YYYY-MM-DD>-<epoch ms> or <YYYY-MM-DD>-<Kafka partition>-<epoch ms>, perhaps with a dataset before it; 13 digits are
# the years 2001 to 2286.
_STAMP: Final = re.compile(r"(?<!\d)\d{4}-\d{2}-\d{2}-(?:\d{1,10}-)?(\d{13})(?!\d)", re.ASCII)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def received_at(object_key: str) -> datetime | None:
    """Return the time in a name such as `2019-12-04-1575399627832.json.gz`, in UTC; None when the name holds none."""
    stamp = _STAMP.search(object_key.rpartition("/")[2])
    # Not fromtimestamp, whose floating point may lose the last millisecond.
    return _EPOCH + timedelta(milliseconds=int(stamp[1])) if stamp else None


def received_span(object_keys: Iterable[str]) -> tuple[str | None, str | None]:
    """Return the first and the last time in these names, as ISO 8601 with milliseconds; None when no name holds one."""
    times = sorted(time for time in map(received_at, object_keys) if time)
    if not times:
        return None, None
    return _iso(times[0]), _iso(times[-1])


def iso_ms(time_ms: int) -> str:
    """Return a time in ms since 1970 as ISO 8601 in UTC with milliseconds."""
    return _iso(_EPOCH + timedelta(milliseconds=time_ms))


def _iso(time: datetime) -> str:
    return time.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
