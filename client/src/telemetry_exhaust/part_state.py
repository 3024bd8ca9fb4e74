"""The state of a download that is under way: which bytes of NAME.part are there, and of which object.

It is a file beside NAME.part: a line for the object, then a line for each piece that was written. A line that a crash
cut off does not count, so the file says less than there is, never more.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Final

from telemetry_exhaust.file_lock import hold

if TYPE_CHECKING:
    from pathlib import Path

PARALLEL_BYTES: Final = 64 * 1024 * 1024  # above this, an object is read in ranges side by side
RANGES: Final = 4


@dataclass
class Range:
    """Some bytes of the object: the next one that is missing, and the one behind the last."""

    next: int
    end: int


@dataclass(frozen=True)
class Object:
    """The object that is downloaded; two with one ETag have the same bytes."""

    etag: str
    size: int


class PartState:
    """The state of one download, which one process at a time may have open."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self.object: Object | None = None
        self.ranges: list[Range] = []
        self._read()

    @classmethod
    def open(cls, path: Path) -> PartState:
        """Open the state at a path, or make it.

        Raises:
            UsageError: another process has it open.
            OSError: it cannot be opened.
        """
        return cls(hold(path))

    def begin(self, found: Object) -> None:
        """Forget what is there, and begin with an object.

        Raises:
            OSError: the state cannot be written.
        """
        self._file.seek(0)
        self._file.truncate()
        self.object, self.ranges = found, _ranges(found.size)
        self._write({"etag": found.etag, "size": found.size})

    def written(self, index: int, place: int) -> None:
        """Remember that the bytes of a range are there up to a place.

        Raises:
            OSError: the state cannot be written.
        """
        self.ranges[index].next = place
        self._write([index, place])

    def missing(self) -> list[int]:
        """Return the ranges of which bytes are missing."""
        return [index for index, range_ in enumerate(self.ranges) if range_.next < range_.end]

    @property
    def done(self) -> int:
        """Bytes that are there."""
        size = self.object.size if self.object else 0
        return size - sum(range_.end - range_.next for range_ in self.ranges)

    def close(self) -> None:
        """Close the file, and let others have it."""
        self._file.close()

    def _write(self, line: Any) -> None:
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()

    def _read(self) -> None:
        self._file.seek(0)
        end = 0
        for line in self._file.read().splitlines(keepends=True):
            if not line.endswith("\n") or not self._understood(line):
                break
            end += len(line)
        self._file.seek(end)
        self._file.truncate()

    def _understood(self, line: str) -> bool:
        try:
            told = json.loads(line)
            if self.object is None:
                self.object = Object(str(told["etag"]), int(told["size"]))
                self.ranges = _ranges(self.object.size)
            else:
                index, place = told
                self.ranges[index].next = max(self.ranges[index].next, min(place, self.ranges[index].end))
        except (ValueError, LookupError, TypeError):
            return False
        return True


def _ranges(size: int) -> list[Range]:
    parts = RANGES if size > PARALLEL_BYTES else 1
    length = -(-size // parts)
    return [Range(start, min(start + length, size)) for start in range(0, max(size, 1), max(length, 1))]
