"""Keys of the objects in the exhaust bucket.

`days/<dataset>/<resource>/<day>/<fingerprint>.zip`, and the same with `records/` and `.json`: a day archive and its
summary. The archive has its local header as a member of a download before it, which unzip calls extra bytes. The
summary is written last, so a day archive is finished when its summary exists. Summaries lie apart because they expire
before archives do.
`requests/<request id>/attempt-<n>/cancelled`: says that nobody shall work on that attempt any more; the status service
writes it.
`requests/<request id>/attempt-<n>/<work id>/`: what the aggregator made of one attempt at a request, with a marker for
each finished or failed day, the download, and `outcome.json`, which says whose download it is. Where days have failed
there are, in place of these two, a partial download and `partial.json`. The work id is a hash of what was
asked for. So a message that names a request and asks for other data than the request writes elsewhere.
`audit/<first number>-<last number>.jsonl`: entries of the audit that left the database.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date
    from uuid import UUID

DAYS: Final = "days/"
DAY_SUMMARIES: Final = "records/"
REQUESTS: Final = "requests/"
AUDIT: Final = "audit/"
KEPT_PREFIXES: Final = (AUDIT,)  # of what stays until an operator removes it
# So much longer is an archive kept than the summary that says it is there: longer than any request takes.
_MARGIN: Final = timedelta(days=2)
OUTCOME: Final = "outcome.json"
CANCELLED: Final = "cancelled"
PARTIAL: Final = "partial.json"
_WORK_ID_DIGITS: Final = 16
_AUDIT_DIGITS: Final = 19  # of the greatest number, so that keys are listed in the order of the entries
_PART: Final = re.compile(r"[A-Za-z0-9._-]+", re.ASCII)


def expiry_by_prefix(retention: timedelta) -> dict[str, timedelta]:
    """Return how long objects are kept, by the prefix of their keys.

    Args:
        retention: how long a finished download can be had.
    """
    return {REQUESTS: retention, DAY_SUMMARIES: retention, DAYS: retention + _MARGIN}


def audit_export_key(first: int, last: int, digest: str = "") -> str:
    """Return the key of the audit's entries with these numbers, in lines of JSON.

    Args:
        first: the lowest number.
        last: the highest.
        digest: of the lines, where the key without it is taken.
    """
    suffix = f"-{digest[:_WORK_ID_DIGITS]}" if digest else ""
    return f"{AUDIT}{first:0{_AUDIT_DIGITS}}-{last:0{_AUDIT_DIGITS}}{suffix}.jsonl"


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


def day_summaries_prefix(dataset: str, resource: str) -> str:
    """Return the prefix of the summaries of a resource's day archives; the day comes next.

    Raises:
        ValueError: a part could leave its place in the key.
    """
    return f"{DAY_SUMMARIES}{_part(dataset)}/{_part(resource)}/"


def request_prefix(request_id: UUID) -> str:
    """Return the prefix of all keys of a request; it ends in a slash."""
    return f"{REQUESTS}{request_id}/"


def attempt_prefix(request_id: UUID, attempt: int) -> str:
    """Return the prefix of the keys of one attempt at a request; it ends in a slash."""
    return f"{request_prefix(request_id)}attempt-{attempt}/"


def cancelled_key(request_id: UUID, attempt: int) -> str:
    """Return the key of the empty object that says that nobody shall work on an attempt any more."""
    return attempt_prefix(request_id, attempt) + CANCELLED


def outer_archive_name(dataset: str, first: date, last: date) -> str:
    """Return the file name of a download: `<dataset>_<first day>_<last day>.zip`."""
    return f"{dataset}_{first.isoformat()}_{last.isoformat()}.zip"


def partial_archive_name(dataset: str, first: date, last: date) -> str:
    """Return the file name of a partial download."""
    return f"{dataset}_{first.isoformat()}_{last.isoformat()}.partial.zip"


def work_id(dataset: str, resource: str, first: date, last: date, tags: Iterable[str]) -> str:
    """Return the identity of what a request asks for: 16 hex digits, equal for equal data.

    Args:
        dataset: the dataset's own id.
        resource: in canonical form.
        first: first day.
        last: last day, included.
        tags: the filter; order and repetition do not matter.
    """
    asked = orjson.dumps([dataset, resource, first, last, sorted(set(tags))])
    return hashlib.sha256(asked).hexdigest()[:_WORK_ID_DIGITS]


@dataclass(frozen=True, slots=True)
class WorkPlace:
    """The place in the bucket of one attempt at a piece of work.

    Attributes:
        prefix: of all its keys; it ends in a slash.
        archive_name: file name of its download.
    """

    prefix: str
    archive_name: str

    @property
    def archive_key(self) -> str:
        """The key of the download."""
        return self.prefix + self.archive_name

    @property
    def outcome_key(self) -> str:
        """The key of the object that says whose download it is, and how large."""
        return self.prefix + OUTCOME

    @property
    def markers_prefix(self) -> str:
        """The prefix of the day markers: listing it shows the finished days. It ends in a slash."""
        return f"{self.prefix}days/"

    @property
    def partial_key(self) -> str:
        """The key of the object that says whose partial download there is, and which days it lacks."""
        return self.prefix + PARTIAL

    def partial_archive_key(self, missing: Iterable[date]) -> str:
        """Return the key of the partial download that lacks some days; another one for other days."""
        lacking = hashlib.sha256(orjson.dumps(sorted(missing))).hexdigest()[:_WORK_ID_DIGITS]
        return f"{self.prefix}partial-{lacking}.zip"

    def failed_marker_key(self, day: date) -> str:
        """Return the key of the marker that says that a day has failed, unless it is finished after all."""
        return f"{self.markers_prefix}{day.isoformat()}.failed.json"

    def marker_key(self, day: date) -> str:
        """Return the key of the marker that says that a day is finished."""
        return f"{self.markers_prefix}{day.isoformat()}.json"


def work_place(
    request_id: UUID, attempt: int, *, dataset: str, resource: str, first: date, last: date, tags: Iterable[str]
) -> WorkPlace:
    """Return the place of one attempt at a request.

    Raises:
        ValueError: the dataset's id could leave its place in the key.
    """
    work = work_id(dataset, resource, first, last, tags)
    return WorkPlace(f"{attempt_prefix(request_id, attempt)}{work}/", outer_archive_name(_part(dataset), first, last))


def _place(dataset: str, resource: str, day: date, fingerprint: str) -> str:
    return f"{_part(dataset)}/{_part(resource)}/{day.isoformat()}/{_part(fingerprint)}"


def _part(text: str) -> str:
    if not _PART.fullmatch(text) or text in {".", ".."}:
        raise ValueError(f"{text[:80]!r} cannot be part of a key: only A-Z a-z 0-9 . _ - and neither '.' nor '..'")
    return text
