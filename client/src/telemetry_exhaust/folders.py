"""Downloads in a folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from telemetry_exhaust.errors import UsageError
from telemetry_exhaust.safe_text import safe_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path


def downloads(paths: Iterable[Path]) -> Iterator[Path]:
    """Return files as they are named, and of folders the zips in them, by name.

    Raises:
        UsageError: a folder has none.
    """
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        found = sorted(file for file in path.glob("*.zip") if not file.name.startswith("."))
        if not found:
            raise UsageError(f"{safe_text(path)} has no downloads (*.zip)")
        yield from found
