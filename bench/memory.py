"""How much memory processes take while they work."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Final, Self

from bench.processes import family

if TYPE_CHECKING:
    from collections.abc import Callable

_KILOBYTES: Final = re.compile(r"^(?:VmRSS|Pss):\s+(\d+) kB", re.MULTILINE)


class MemoryWatch:
    """Measures again and again, as long as the `with` block lasts.

    Attributes:
        first: what was measured when the block began, in bytes.
        peak: the highest that was measured.
    """

    def __init__(self, measure: Callable[[], int], every: timedelta = timedelta(milliseconds=20)) -> None:
        self.first = self.peak = 0
        self._measure = measure
        self._every = every
        self._end = Event()
        self._thread = Thread(target=self._watch, daemon=True)

    @property
    def added(self) -> int:
        """The peak beyond what was measured first."""
        return self.peak - self.first

    def __enter__(self) -> Self:
        self.first = self.peak = self._measure()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._end.wait(self._every.total_seconds()):
            self.peak = max(self.peak, self._measure())


def resident(pid: int) -> int:
    """The resident set of one process (RSS), in bytes; 0 when it has ended."""
    return _bytes_in(Path(f"/proc/{pid}/status"))


def family_memory(pid: int) -> int:
    """The memory of a process and all below it, in bytes.

    What counts is PSS: shared pages are divided among those who share them, so that the sum is what is really taken.
    The kernel walks all their pages for it, which takes milliseconds.
    """
    return sum(_bytes_in(Path(f"/proc/{member}/smaps_rollup")) for member in family(pid))


def _bytes_in(file: Path) -> int:
    with suppress(FileNotFoundError, ProcessLookupError):
        found = _KILOBYTES.search(file.read_text())
        return int(found[1]) * 1024 if found else 0
    return 0
