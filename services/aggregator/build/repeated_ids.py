"""The count of events of a day that repeat the id of another, in little memory whatever the day's size."""

from __future__ import annotations

import asyncio
import tempfile
from array import array
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_MAX_IN_MEMORY: Final = 1024 * 1024


class RepeatedIdCounter:
    """Counts ids by their hashes. Of a million ids in a day, two share a hash with a chance of 1 in 30 million.

    Args:
        file: keeps the hashes, which EventIdHashes (scan/scan_stats.py) has parted into buckets.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._places: dict[int, list[tuple[int, int]]] = {}  # by bucket: offset and size in the file

    def add(self, hashes: Mapping[int, bytes]) -> None:
        """Add hashes of ids.

        Args:
            hashes: by bucket, 8 bytes each; equal hashes are in equal buckets.
        """
        for bucket, data in hashes.items():
            self._places.setdefault(bucket, []).append((self._file.tell(), len(data)))
            self._file.write(data)

    async def count(self) -> int:
        """Return how many ids repeat an earlier one: all ids, less the distinct ones."""
        return await asyncio.to_thread(lambda: sum(map(self._repeated, self._places.values())))

    def _repeated(self, places: list[tuple[int, int]]) -> int:
        hashes = array("q")
        for offset, size in places:
            self._file.seek(offset)
            hashes.frombytes(self._file.read(size))
        return len(hashes) - len(set(hashes))


@contextmanager
def open_repeated_ids() -> Iterator[RepeatedIdCounter]:
    """Open a counter that keeps few hashes in memory, and many in a temporary file."""
    with tempfile.SpooledTemporaryFile(max_size=_MAX_IN_MEMORY) as file:
        yield RepeatedIdCounter(file)
