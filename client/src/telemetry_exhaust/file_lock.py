"""Files that one process at a time may have open; the lock goes with the process, however it ends."""

from __future__ import annotations

import os
import sys
from typing import IO, TYPE_CHECKING

from telemetry_exhaust.errors import UsageError
from telemetry_exhaust.safe_text import safe_text

if TYPE_CHECKING:
    from pathlib import Path

if sys.platform == "win32":
    import msvcrt

    def _lock(file: IO[str]) -> None:
        file.seek(2**30)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        file.seek(0)
else:
    import fcntl

    def _lock(file: IO[str]) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def hold(path: Path) -> IO[str]:
    """Open a file for reading and writing, or make it, and lock it until it is closed.

    Raises:
        UsageError: another process holds it.
        OSError: it cannot be opened.
    """
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        file = os.fdopen(descriptor, "r+", encoding="utf-8", newline="")
        try:
            _lock(file)
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
        except FileNotFoundError:
            pass  # its holder removed it just now
        except OSError as error:
            file.close()
            raise UsageError(f"another `exhaust` is at work on {safe_text(path)}; wait for it, or end it") from error
        file.close()
