"""The peak memory of a process and its children."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Final, Self

from bench.aggregator.processor_time import children

if TYPE_CHECKING:
    from collections.abc import Iterator

_EVERY_S: Final = 0.05
_PSS: Final = re.compile(r"^Pss:\s+(\d+) kB", re.MULTILINE)


class PeakMemory:
    """A sampler of the memory of a process and all its descendants, while the `with` block lasts.

    It adds up PSS, which divides shared pages among the processes that share them.

    Attributes:
        peak: the highest sum that was seen, in bytes.
    """

    def __init__(self, pid: int) -> None:
        self.peak = 0
        self._pid = pid
        self._end = Event()
        self._thread = Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._look()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._end.wait(_EVERY_S):
            self._look()

    def _look(self) -> None:
        self.peak = max(self.peak, sum(map(_pss, _family(self._pid))))


def _family(pid: int) -> Iterator[int]:
    yield pid
    for child in children(pid):
        yield from _family(child)


def _pss(pid: int) -> int:
    """Return the PSS of one process in bytes; 0 when it has ended."""
    with suppress(FileNotFoundError, ProcessLookupError):
        found = _PSS.search(Path(f"/proc/{pid}/smaps_rollup").read_text())
        return int(found[1]) * 1024 if found else 0
    return 0
