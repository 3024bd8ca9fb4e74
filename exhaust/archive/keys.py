"""Where things lie in the exhaust bucket.

`days/<dataset>/<resource>/<day>/<fingerprint>.zip`, and `.json` beside it: a day archive and its record. The record is
written last, so a day archive is finished when its record exists.
`requests/<request id>/attempt-<n>/`: one attempt at a request, with a marker for each finished day and the download.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from exhaust.archive.outer_archive import outer_archive_name

if TYPE_CHECKING:
    from datetime import date
    from uuid import UUID

_PART: Final = re.compile(r"[A-Za-z0-9._-]+", re.ASCII)


def day_archive_key(dataset: str, resource: str, day: date, fingerprint: str) -> str:
    """The key of a day archive.

    Raises:
        ValueError: a part could leave its place in the key.
    """
    return f"{_day_archive_stem(dataset, resource, day, fingerprint)}.zip"


def day_record_key(dataset: str, resource: str, day: date, fingerprint: str) -> str:
    """The key of a day archive's record.

    Raises:
        ValueError: a part could leave its place in the key.
    """
    return f"{_day_archive_stem(dataset, resource, day, fingerprint)}.json"


def request_folder(request_id: UUID) -> str:
    """What all keys of a request begin with; ends in a slash."""
    return f"requests/{request_id}/"


def request_prefix(request_id: UUID, attempt: int) -> str:
    """What the keys of one attempt at a request begin with; ends in a slash."""
    return f"{request_folder(request_id)}attempt-{attempt}/"


def day_markers_prefix(request_id: UUID, attempt: int) -> str:
    """What the keys of the attempt's day markers begin with: its listing shows the finished days. Ends in a slash."""
    return f"{request_prefix(request_id, attempt)}days/"


def day_marker_key(request_id: UUID, attempt: int, day: date) -> str:
    """The key of the marker that a day of the attempt is finished."""
    return f"{day_markers_prefix(request_id, attempt)}{day.isoformat()}.json"


def outer_archive_key(request_id: UUID, attempt: int, dataset: str, first: date, last: date) -> str:
    """The key of the attempt's download.

    Raises:
        ValueError: the dataset's id could leave its place in the key.
    """
    return request_prefix(request_id, attempt) + outer_archive_name(_part(dataset), first, last)


def _day_archive_stem(dataset: str, resource: str, day: date, fingerprint: str) -> str:
    return f"days/{_part(dataset)}/{_part(resource)}/{day.isoformat()}/{_part(fingerprint)}"


def _part(text: str) -> str:
    if not _PART.fullmatch(text) or text in {".", ".."}:
        raise ValueError(f"{text[:80]!r} cannot be part of a key: only A-Z a-z 0-9 . _ - and neither '.' nor '..'")
    return text
