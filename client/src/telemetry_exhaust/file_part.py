"""A part of a file as a file."""

from __future__ import annotations

import io
import os
from typing import IO, Final

MAX_READ_BYTES: Final = 16 * 1024 * 1024  # at once; zipfile reads the whole directory of a zip, and makes more of it


class FilePart:
    """Some bytes of a file, as zipfile reads a file. To seek costs nothing here; in a member it means to read again."""

    def __init__(self, file: IO[bytes] | FilePart, offset: int, size: int) -> None:
        self._file = file
        self._offset = offset
        self._size = size
        self._position = 0

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Change the position, and return it.

        Raises:
            io.UnsupportedOperation: it would lie before the start.
        """
        position = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence] + offset
        if position < 0:
            raise io.UnsupportedOperation("a place before the start")
        self._position = position
        return position

    def read(self, size: int = -1, /) -> bytes:
        """Read so many bytes, or all that are left.

        Raises:
            ValueError: that would be more than MAX_READ_BYTES.
        """
        left = max(0, self._size - self._position)
        wanted = left if size < 0 else min(size, left)
        if wanted > MAX_READ_BYTES:
            raise ValueError(f"it has a directory of more than {MAX_READ_BYTES} bytes")
        self._file.seek(self._offset + self._position)
        content = self._file.read(wanted)
        self._position += len(content)
        return content
