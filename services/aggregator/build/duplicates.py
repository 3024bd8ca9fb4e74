"""Duplicates: how many events of a day repeat the id of another, whatever the day's size."""

from __future__ import annotations

import asyncio
import tempfile
from array import array
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_IN_MEMORY: Final = 1024 * 1024
_HASH_BYTES: Final = 8


class Duplicates:
    """Hashes of event ids. Two ids of a million in a day share one with a chance of 1 to 30 million."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._places: dict[int, list[tuple[int, int]]] = {}

    def add(self, hashes: Mapping[int, bytes]) -> None:
        """Note hashes of ids.

        Args:
            hashes: by bucket, 8 bytes each; equal ones are in equal buckets.
        """
        for bucket, data in hashes.items():
            self._places.setdefault(bucket, []).append((self._file.tell(), len(data)))
            self._file.write(data)

    async def count(self) -> int:
        """How many ids came again: all that were noted, less the different ones."""
        return await asyncio.to_thread(lambda: sum(map(self._repeated, self._places.values())))

    def _repeated(self, places: list[tuple[int, int]]) -> int:
        hashes = array("q")
        for offset, size in places:
            self._file.seek(offset)
            hashes.frombytes(self._file.read(size))
        return len(hashes) - len(set(hashes))


@contextmanager
def open_duplicates() -> Iterator[Duplicates]:
    """Keeps hashes in memory while they are few, and in a file without a name when they are many."""
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as file:
        yield Duplicates(file)
