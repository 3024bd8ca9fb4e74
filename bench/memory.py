"""The memory of processes while they work."""

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
    """A sampler that measures memory again and again while the `with` block lasts.

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
    """Return the resident set of one process (RSS) in bytes; 0 when it has ended."""
    return _bytes_in(Path(f"/proc/{pid}/status"))


def family_memory(pid: int) -> int:
    """Return the memory of a process and all its descendants, in bytes.

    It adds up PSS, which divides shared pages among the processes that share them. The kernel walks all their pages
    for it, which takes milliseconds.
    """
    return sum(_bytes_in(Path(f"/proc/{member}/smaps_rollup")) for member in family(pid))


def _bytes_in(file: Path) -> int:
    with suppress(FileNotFoundError, ProcessLookupError):
        found = _KILOBYTES.search(file.read_text())
        return int(found[1]) * 1024 if found else 0
    return 0
