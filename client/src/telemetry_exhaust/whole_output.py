"""Where a command writes its data: stdout, or a file that gets its name when all is in it."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from telemetry_exhaust.errors import UsageError
from telemetry_exhaust.whole_files import move_whole

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def whole_output(path: Path | None, form: str) -> Iterator[IO[bytes]]:
    """Return what data are written to.

    Args:
        path: the file; without it stdout.
        form: of the data, such as parquet, which is nothing for a terminal.

    Raises:
        UsageError: it is nothing for a terminal.
        OSError: the file cannot be written.
    """
    if path is None:
        if form == "parquet" and sys.stdout.isatty():
            raise UsageError("Parquet is nothing for a terminal; name a file with -o FILE, or send it into one")
        sys.stdout.flush()
        with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as target:
            yield target
        return
    beside = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        with beside.open("wb") as target:
            yield target
            target.flush()
            os.fsync(target.fileno())
        move_whole(beside, path)
    finally:
        beside.unlink(missing_ok=True)
