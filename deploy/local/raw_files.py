"""A folder of telemetry files, read as the raw objects of a bucket.

Takes `.json`, `.jsonl` and `.gz` files of a folder and the folders in it. Their bytes are never changed: a `.gz` file
is passed on as it is, the others are compressed. A file's day is the date in its name; files without one are spread
over the last days, ending yesterday.
"""

import gzip
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

DEFAULT_DAYS = 10
SUFFIXES = (".json", ".jsonl", ".gz")
CHUNK_BYTES = 1 << 20
DATE_IN_NAME = re.compile(r"(?<!\d)(\d{4}-\d{2}-\d{2})(?:-(\d{13})(?!\d))?(?!\d)", re.ASCII)
"""A date and, where one follows, the epoch in milliseconds (13 digits from 2001 to 2286)."""


class RawFilesError(Exception):
    """A folder that cannot be loaded; the message names the folder or the file and says why."""


@dataclass(frozen=True, slots=True)
class RawFile:
    """A file as an object of the raw bucket: its day, its name there, and its path."""

    day: date
    name: str
    path: Path

    def read(self) -> bytes:
        """Return the object's bytes: the gzip file itself, or the plain file compressed the same way every time.

        Raises:
            RawFilesError: If the file cannot be read any more.
        """
        try:
            data = self.path.read_bytes()
        except OSError as error:
            raise RawFilesError(f"{self.path} cannot be read: {error.strerror}") from error
        return data if _is_gzip(self.path) else gzip.compress(data, mtime=0)


def read_folder(folder: Path, today: date, days: int = DEFAULT_DAYS) -> list[RawFile]:
    """Find the telemetry files of a folder and give each a day and a name.

    Args:
        folder: Where the files are, at any depth.
        today: The present day; raw objects are of days before it.
        days: Over how many days, ending yesterday, files without a date are spread.

    Returns:
        The files in order of day and name; every file once, no two of the same name.

    Raises:
        RawFilesError: If the folder is none or holds no such file, or a file cannot be read or is no sound gzip file.
    """
    if not folder.is_dir():
        raise RawFilesError(f"{folder} is not a folder")
    paths = sorted(path for path in folder.rglob("*") if path.name.lower().endswith(SUFFIXES) and path.is_file())
    if not paths:
        raise RawFilesError(f"{folder} holds no .json, .jsonl or .gz file")
    for path in paths:
        _check(path)
    return sorted(_named(paths, today, days), key=lambda file: file.name)


def _named(paths: Iterable[Path], today: date, days: int) -> Iterator[RawFile]:
    taken: set[str] = set()
    without_epoch: list[tuple[date | None, Path]] = []
    for path in paths:
        day, epoch = _day_in(path.name, today)
        if day and epoch is not None:
            yield RawFile(day, _free_name(day, epoch, taken), path)
        else:
            without_epoch.append((day, path))
    spread = 0
    for known_day, path in without_epoch:
        day = known_day or today - timedelta(days=days - spread % days)
        spread += known_day is None
        midnight = datetime.combine(day, time(), UTC)
        yield RawFile(day, _free_name(day, max(0, int(midnight.timestamp())) * 1000, taken), path)


def _free_name(day: date, epoch: int, taken: set[str]) -> str:
    while (name := f"{day.isoformat()}-{epoch}.json.gz") in taken:
        epoch += 1
    taken.add(name)
    return name


def _day_in(file_name: str, today: date) -> tuple[date | None, int | None]:
    for found in DATE_IN_NAME.finditer(file_name):
        try:
            day = date.fromisoformat(found[1])
        except ValueError:
            continue
        if day < today:
            return day, int(found[2]) if found[2] else None
    return None, None


def _is_gzip(path: Path) -> bool:
    return path.name.lower().endswith(".gz")


def _check(path: Path) -> None:
    try:
        if not _is_gzip(path):
            with path.open("rb") as plain:
                plain.read(1)
            return
        if path.stat().st_size == 0:
            raise RawFilesError(f"{path} is empty, which no gzip file is")
        with gzip.open(path) as content:
            while content.read(CHUNK_BYTES):
                pass
    except EOFError as error:
        raise RawFilesError(f"{path} is a truncated gzip file: it ends in the middle of its data") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise RawFilesError(f"{path} is not a sound gzip file: {error}") from error
    except OSError as error:
        raise RawFilesError(f"{path} cannot be read: {error.strerror}") from error
