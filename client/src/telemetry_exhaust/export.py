"""Downloads that are on the disk, as a partner's program reads them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from telemetry_exhaust import frames
from telemetry_exhaust.columns import Batch, batches
from telemetry_exhaust.download_check import CheckedDay, check_download, open_download
from telemetry_exhaust.event_values import matches
from telemetry_exhaust.folders import downloads
from telemetry_exhaust.lines import event_of, lines_of
from telemetry_exhaust.manifest import FailedDay
from telemetry_exhaust.member_bytes import day_members
from telemetry_exhaust.sessions.reading import documents

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from datetime import date


@dataclass(frozen=True)
class ExportDay:
    """One day of an export, as its manifest tells it.

    Attributes:
        state: `ok`, `empty`, or `failed` when the download lacks it.
        events, bytes: of the events; 0 when it is missing.
        path: the file that it is in.
    """

    day: date
    state: str
    events: int
    bytes: int
    path: Path


class Export:
    """Downloads, day by day."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self.paths = list(paths)

    @classmethod
    def open(cls, *paths: str | Path) -> Export:
        """Return downloads that are there already: files, or folders of them.

        Raises:
            UsageError: a folder has none.
        """
        return cls(downloads(map(Path, paths)))

    @property
    def days(self) -> list[ExportDay]:
        """The days, as the manifests tell them.

        Raises:
            DownloadError: a file is no download.
        """
        return [day for path in self.paths for day in _days(path)]

    def verify(self) -> list[CheckedDay]:
        """Check every day against its manifest: bytes, checksums, members and events.

        Raises:
            DownloadError: a file is no download.
        """
        return [day for path in self.paths for day in check_download(path)]

    def lines(self) -> Iterator[bytes]:
        """Return the lines of all members, as they were received, without their ends; blank ones are left out.

        Raises:
            DownloadError: a file is no download, or damaged.
        """
        for path in self.paths:
            for _, _, pieces in day_members(path):
                yield from lines_of(pieces)

    def events(self, *, eids: Collection[str] = (), tags: Collection[str] = ()) -> Iterator[dict[str, Any]]:
        """Return the events, decoded; lines that are no events are passed over.

        Args:
            eids: only events of these kinds.
            tags: only events that have one of these.

        Raises:
            DownloadError: a file is no download, or damaged.
        """
        for line in self.lines():
            event = event_of(line)
            if event is not None and matches(event, eids, tags):
                yield event

    def sessions(self) -> Iterator[dict[str, Any]]:
        """Return the sessions of apps, portals, editors and services as trees, like `exhaust sessions --format jsonl`.

        Raises:
            DownloadError: a file is no download, or damaged.
        """
        return documents(self.paths)

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[Batch]:
        """Return the events as columns, some thousands at a time; see to_polars for the columns."""
        return batches(self.events(), columns)

    def to_polars(self, columns: Sequence[str] | None = None) -> Any:
        """Return the events as a polars.DataFrame.

        Args:
            columns: dotted names, such as `context.channel`; without them there is one for each field at the top of
                an event. A column of mixed types is text, where all that is no text is written as JSON.

        Raises:
            UsageError: polars is not installed.
            DownloadError: a file is no download, or damaged.
        """
        return frames.to_polars(self.batches(columns))

    def to_pandas(self, columns: Sequence[str] | None = None) -> Any:
        """Return the events as a pandas.DataFrame; see to_polars."""
        return frames.to_pandas(self.batches(columns))

    def to_arrow(self, columns: Sequence[str] | None = None) -> Any:
        """Return the events as a pyarrow.Table; see to_polars."""
        return frames.to_arrow(self.batches(columns))

    def to_duckdb(self, columns: Sequence[str] | None = None, *, connection: Any = None, table: str = "events") -> Any:
        """Fill a table of a DuckDB connection, in memory when none is given, and return that; see to_polars."""
        return frames.to_duckdb(self.batches(columns), connection, table)


def _days(path: Path) -> Iterator[ExportDay]:
    with open_download(path) as (_, _, manifest):
        for day in manifest.days:
            if isinstance(day, FailedDay):
                yield ExportDay(day.day, "failed", 0, 0, path)
            else:
                yield ExportDay(day.day, day.state, day.events, day.bytes, path)
