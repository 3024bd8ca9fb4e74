"""Keys of the objects in the exhaust bucket.

`days/<dataset>/<resource>/<day>/<fingerprint>.zip`, and the same with `records/` and `.json`: a day archive and its
summary. The archive has its local header as a member of a download before it, which unzip calls extra bytes. The
summary is written last, so a day archive is finished when its summary exists. Summaries lie apart because they expire
before archives do.
`requests/<request id>/attempt-<n>/`: one attempt at a request, with a marker for each finished day and the download.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import date
    from uuid import UUID

DAYS: Final = "days/"
DAY_SUMMARIES: Final = "records/"
REQUESTS: Final = "requests/"
# So much longer is an archive kept than the summary that says it is there: longer than any request takes.
_MARGIN: Final = timedelta(days=2)
_PART: Final = re.compile(r"[A-Za-z0-9._-]+", re.ASCII)


def expiry_by_prefix(retention: timedelta) -> dict[str, timedelta]:
    """Return how long objects are kept, by the prefix of their keys.

    Args:
        retention: how long a finished download can be had.
    """
    return {REQUESTS: retention, DAY_SUMMARIES: retention, DAYS: retention + _MARGIN}


def day_archive_key(dataset: str, resource: str, day: date, fingerprint: str) -> str:
    """Return the key of a day archive.

    Raises:
        ValueError: a part could leave its place in the key.
    """
    return f"{DAYS}{_place(dataset, resource, day, fingerprint)}.zip"


def day_summary_key(dataset: str, resource: str, day: date, fingerprint: str) -> str:
    """Return the key of a day archive's summary.

    Raises:
        ValueError: a part could leave its place in the key.
    """
    return f"{DAY_SUMMARIES}{_place(dataset, resource, day, fingerprint)}.json"


def request_prefix(request_id: UUID) -> str:
    """Return the prefix of all keys of a request; it ends in a slash."""
    return f"{REQUESTS}{request_id}/"


def attempt_prefix(request_id: UUID, attempt: int) -> str:
    """Return the prefix of the keys of one attempt at a request; it ends in a slash."""
    return f"{request_prefix(request_id)}attempt-{attempt}/"


def day_markers_prefix(request_id: UUID, attempt: int) -> str:
    """Return the prefix of the day markers of an attempt: listing it shows the finished days. It ends in a slash."""
    return f"{attempt_prefix(request_id, attempt)}days/"


def day_marker_key(request_id: UUID, attempt: int, day: date) -> str:
    """Return the key of the marker that says that a day of the attempt is finished."""
    return f"{day_markers_prefix(request_id, attempt)}{day.isoformat()}.json"


def outer_archive_name(dataset: str, first: date, last: date) -> str:
    """Return the file name of a download: `<dataset>_<first day>_<last day>.zip`."""
    return f"{dataset}_{first.isoformat()}_{last.isoformat()}.zip"


def outer_archive_key(request_id: UUID, attempt: int, dataset: str, first: date, last: date) -> str:
    """Return the key of the download of an attempt.

    Raises:
        ValueError: the dataset's id could leave its place in the key.
    """
    return attempt_prefix(request_id, attempt) + outer_archive_name(_part(dataset), first, last)


def _place(dataset: str, resource: str, day: date, fingerprint: str) -> str:
    return f"{_part(dataset)}/{_part(resource)}/{day.isoformat()}/{_part(fingerprint)}"


def _part(text: str) -> str:
    if not _PART.fullmatch(text) or text in {".", ".."}:
        raise ValueError(f"{text[:80]!r} cannot be part of a key: only A-Z a-z 0-9 . _ - and neither '.' nor '..'")
    return text
