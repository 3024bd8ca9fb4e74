"""The deflate stream of a member that is held until its size is known, or until it is too large to be held."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

# A member of so many deflated bytes at most gets its sizes in front of its data. It is part of the archive format:
# another value makes other archives.
MAX_HELD_BYTES: Final = 8 * 1024 * 1024
_MAX_IN_MEMORY: Final = 256 * 1024  # of each archive that is written at the same time; more is kept in a file
_READ_BYTES: Final = 512 * 1024


class HeldMember:
    """The bytes of one member at a time; the same object holds one after another.

    Attributes:
        size: how many bytes are held.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.size = 0

    def add(self, data: bytes) -> None:
        """Hold bytes behind those that are held."""
        self._file.write(data)
        self.size += len(data)

    def take(self) -> Iterator[bytes]:
        """Yield what is held, and hold nothing any more at the end."""
        self._file.seek(0)
        while data := self._file.read(_READ_BYTES):
            yield data
        self._file.seek(0)
        self._file.truncate()
        self.size = 0


@contextmanager
def open_held_member() -> Iterator[HeldMember]:
    """Open an empty one, which keeps few bytes in memory, and many in a temporary file."""
    with tempfile.SpooledTemporaryFile(max_size=_MAX_IN_MEMORY) as file:
        yield HeldMember(file)
