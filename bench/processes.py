"""The descendants of a process."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def children(pid: int) -> Iterator[int]:
    """Yield the processes that a process has started; none when it has ended."""
    with suppress(FileNotFoundError, ProcessLookupError):
        for listing in Path(f"/proc/{pid}/task").glob("*/children"):
            yield from map(int, listing.read_text().split())


def family(pid: int) -> Iterator[int]:
    """Yield a process and all its descendants."""
    yield pid
    for child in children(pid):
        yield from family(child)
