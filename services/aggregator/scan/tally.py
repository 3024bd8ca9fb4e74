"""Count: what one object gave to one request."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from telemetry.event_metadata import event_times, message_ids, schema_versions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MOST_UNREADABLE_LINES: Final = 100
BUCKET_MASK: Final = 63
_MOST_VERSIONS: Final = 20  # there are six real ones; more are noise
_OTHER_VERSIONS: Final = "other"


class MidHashes:
    """Hashes of 64 bits of event ids, in buckets by their last bits, so that each bucket can be counted by itself.

    Hashes agree between the lanes of one worker, which all start with the same seed; see lanes.py.
    """

    def __init__(self) -> None:
        self._buckets = [array("q") for _ in range(BUCKET_MASK + 1)]
        self.count = 0

    def add(self, mids: Sequence[str]) -> None:
        """More ids."""
        buckets = self._buckets
        self.count += len(mids)
        for hashed in map(hash, mids):
            buckets[hashed & BUCKET_MASK].append(hashed)

    def take(self) -> dict[int, bytes]:
        """What was added since the last call: for each bucket, its hashes as 8 bytes each."""
        taken = {bucket: hashes.tobytes() for bucket, hashes in enumerate(self._buckets) if hashes}
        self._buckets = [array("q") for _ in range(BUCKET_MASK + 1)]
        self.count = 0
        return taken


@dataclass(slots=True)
class Tally:
    """What was selected, and what could not be read. Blank lines are nothing at all.

    Attributes:
        events: selected events.
        unreadable: lines that are no event and may concern whoever asks.
        unreadable_at: inflated bytes before the first of them.
        first, last: when the selected events happened, in ms since 1970; None when none says so.
        versions: selected events by schema version.
        mids: those of the selected events.
    """

    events: int = 0
    unreadable: int = 0
    unreadable_at: list[int] = field(default_factory=list)
    first: int | None = None
    last: int | None = None
    versions: dict[str, int] = field(default_factory=dict)
    mids: MidHashes = field(default_factory=MidHashes)

    def add(self, events: Sequence[Mapping[str, object]]) -> None:
        """More selected events."""
        self.events += len(events)
        for version, count in schema_versions(events).items():
            self._add_version(version, count)
        self.mids.add(message_ids(events))
        known = [moment for moment in (self.first, self.last) if moment is not None] + event_times(events)
        if known:
            self.first, self.last = min(known), max(known)

    def _add_version(self, version: str, events: int) -> None:
        if version not in self.versions and len(self.versions) >= _MOST_VERSIONS:
            version = _OTHER_VERSIONS
        self.versions[version] = self.versions.get(version, 0) + events

    def unreadable_line(self, offset: int) -> None:
        """One more line that is no event, behind so many inflated bytes."""
        self.unreadable += 1
        if len(self.unreadable_at) < MOST_UNREADABLE_LINES:
            self.unreadable_at.append(offset)
