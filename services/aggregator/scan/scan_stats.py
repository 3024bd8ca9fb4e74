"""The statistics of one scan: the events that were selected of one object, and the lines that could not be read."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from telemetry.event_metadata import event_times, message_ids, schema_versions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MAX_UNREADABLE_LINES: Final = 100
BUCKET_MASK: Final = 63
_MAX_VERSIONS: Final = 20  # there are six real ones; more are noise
_OTHER_VERSIONS: Final = "other"


class EventIdHashes:
    """64-bit hashes of event ids, in buckets by their last bits, so that each bucket can be counted by itself.

    Equal ids have equal hashes in all scan workers of an aggregator, which check that when they start; see
    KNOWN_TEXT in worker_process.py.

    Attributes:
        count: hashes that `take` would return.
    """

    def __init__(self) -> None:
        self._buckets = [array("q") for _ in range(BUCKET_MASK + 1)]
        self.count = 0

    def add(self, ids: Sequence[str]) -> None:
        """Add the hashes of ids."""
        buckets = self._buckets
        self.count += len(ids)
        for hashed in map(hash, ids):
            buckets[hashed & BUCKET_MASK].append(hashed)

    def take(self) -> dict[int, bytes]:
        """Return and forget the hashes that were added since the last call: by bucket, 8 bytes each."""
        taken = {bucket: hashes.tobytes() for bucket, hashes in enumerate(self._buckets) if hashes}
        self._buckets = [array("q") for _ in range(BUCKET_MASK + 1)]
        self.count = 0
        return taken


@dataclass(slots=True)
class ScanStats:
    """Counts of one object for one selection. Blank lines count as nothing.

    Attributes:
        events: selected events.
        unreadable: lines that are no event and may belong to the selection.
        unreadable_offsets: inflated bytes before each of the first of them.
        first_event_ms: when the earliest selected event happened, in ms since 1970; None when no event says so.
        last_event_ms: when the latest one happened.
        versions: selected events by telemetry version.
        id_hashes: those of the selected events.
    """

    events: int = 0
    unreadable: int = 0
    unreadable_offsets: list[int] = field(default_factory=list)
    first_event_ms: int | None = None
    last_event_ms: int | None = None
    versions: dict[str, int] = field(default_factory=dict)
    id_hashes: EventIdHashes = field(default_factory=EventIdHashes)

    def add(self, events: Sequence[Mapping[str, object]]) -> None:
        """Count selected events."""
        self.events += len(events)
        for version, count in schema_versions(events).items():
            self._add_version(version, count)
        self.id_hashes.add(message_ids(events))
        times = [ms for ms in (self.first_event_ms, self.last_event_ms) if ms is not None] + event_times(events)
        if times:
            self.first_event_ms, self.last_event_ms = min(times), max(times)

    def add_unreadable_line(self, offset: int) -> None:
        """Count a line that is no event.

        Args:
            offset: inflated bytes before the line.
        """
        self.unreadable += 1
        if len(self.unreadable_offsets) < MAX_UNREADABLE_LINES:
            self.unreadable_offsets.append(offset)

    def _add_version(self, version: str, events: int) -> None:
        if version not in self.versions and len(self.versions) >= _MAX_VERSIONS:
            version = _OTHER_VERSIONS
        self.versions[version] = self.versions.get(version, 0) + events
