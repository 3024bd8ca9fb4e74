"""The lines of downloads, of the zips of days, and of files of lines, each with the place where it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from telemetry_exhaust.download_check import damage_told, open_download, open_zip
from telemetry_exhaust.errors import UsageError
from telemetry_exhaust.lines import numbered_lines
from telemetry_exhaust.manifest import FailedDay
from telemetry_exhaust.member_bytes import day_members, plain_members, unpacked
from telemetry_exhaust.member_names import MANIFEST_NAME
from telemetry_exhaust.safe_text import safe_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_READ: Final = 256 * 1024
_LINE_BITS: Final = 40  # of a place: the number of the line; above them is the number of the file
_LAST_LINE: Final = (1 << _LINE_BITS) - 1
_ZIP: Final = b"PK"
_OF_LINES: Final = (".jsonl", ".json", ".jsonl.gz", ".json.gz", ".gz")


class Sources:
    """Files, and where each line of them stands. A place is a number, which sorts in the order of reading."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self.paths = [file for path in paths for file in _files(path)]
        self._names: list[str] = []

    def lines(self) -> Iterator[tuple[int, list[bytes]]]:
        """Return all lines in batches, each with the place of its first line.

        Raises:
            DownloadError: a file cannot be read, or is cut or damaged; what came before is right.
        """
        for path in self.paths:
            for member, pieces in _members(path):
                first = len(self._names) << _LINE_BITS
                self._names.append(f"{path.name}/{member}" if member else path.name)
                for number, lines in numbered_lines(pieces):
                    yield first + number, lines

    def where(self, place: int) -> tuple[str, int]:
        """Return the file and the line of a place; a member of a zip is named behind it."""
        return safe_text(self._names[place >> _LINE_BITS]), place & _LAST_LINE

    def missing_days(self) -> list[str]:
        """Return the days that downloads say they lack.

        Raises:
            DownloadError: a download is cut or damaged.
        """
        missing = []
        for path in self.paths:
            if _is_zip(path) and _has_manifest(path):
                with open_download(path) as (_, _, manifest):
                    missing += [str(day.day) for day in manifest.days if isinstance(day, FailedDay)]
        return missing


def _files(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    files = sorted(file for file in path.iterdir() if not file.name.startswith("."))
    found = [file for file in files if file.suffix == ".zip"] or [
        file for file in files if file.name.endswith(_OF_LINES)
    ]
    if not found:
        raise UsageError(f"{safe_text(path)} has no downloads (*.zip), and no files of events (*.jsonl, *.json, *.gz)")
    yield from found


def _members(path: Path) -> Iterator[tuple[str, Iterator[bytes]]]:
    if _is_zip(path):
        if not _has_manifest(path):
            return plain_members(path)
        return ((f"{day}.zip/{name}", pieces) for day, name, pieces in day_members(path))
    return iter([("", _content(path))])


def _content(path: Path) -> Iterator[bytes]:
    """Return what is in a file of lines, gzipped or not."""
    with damage_told(path), path.open("rb") as file:
        yield from unpacked(iter(lambda: file.read(_READ), b""))


def _is_zip(path: Path) -> bool:
    with damage_told(path), path.open("rb") as file:
        return path.suffix == ".zip" or file.read(len(_ZIP)) == _ZIP


def _has_manifest(path: Path) -> bool:
    with open_zip(path) as (_, opened):
        return MANIFEST_NAME in opened.namelist()
