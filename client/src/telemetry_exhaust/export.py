"""Downloads that are on the disk, as a partner's program reads them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from telemetry_exhaust.download_check import CheckedDay, check_download, open_download
from telemetry_exhaust.manifest import FailedDay

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import date
    from pathlib import Path


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


def _days(path: Path) -> Iterator[ExportDay]:
    with open_download(path) as (_, _, manifest):
        for day in manifest.days:
            if isinstance(day, FailedDay):
                yield ExportDay(day.day, "failed", 0, 0, path)
            else:
                yield ExportDay(day.day, day.state, day.events, day.bytes, path)
