"""Sorts any number of events in little memory: what does not fit is kept in a temporary file, as sorted runs."""

from __future__ import annotations

import heapq
import marshal
import tempfile
from typing import IO, TYPE_CHECKING, Final

from telemetry_exhaust.sessions.seen import Seen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from telemetry_exhaust.sessions.seen import Record

RUN_EVENTS: Final = 50_000  # in memory at once
_CHUNK_EVENTS: Final = 128  # of each run, in memory when the runs are merged


class Ordering:
    """Events that are put in at random, and come out in order."""

    def __init__(self, run_events: int = RUN_EVENTS) -> None:
        self._run_events = run_events
        self._pending: list[Record] = []
        self._runs: list[list[tuple[int, int]]] = []  # of each run its chunks: place in the file, and size
        self._file: IO[bytes] | None = None

    def extend(self, found: list[Record]) -> None:
        """Take some events.

        Raises:
            OSError: the temporary file cannot be written; TMPDIR names its folder.
        """
        self._pending += found
        if len(self._pending) >= self._run_events:
            self._write_run()

    def in_order(self) -> Iterator[Seen]:
        """Return all events by group, time and place, once."""
        self._pending.sort()
        file = self._file
        runs = [] if file is None else [self._read_run(file, run) for run in self._runs]
        return map(Seen._make, heapq.merge(*runs, self._pending) if runs else self._pending)

    def close(self) -> None:
        """Remove the temporary file."""
        if self._file is not None:
            self._file.close()

    def _write_run(self) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="exhaust-sessions-")
        self._pending.sort()
        run = []
        for start in range(0, len(self._pending), _CHUNK_EVENTS):
            chunk = marshal.dumps(self._pending[start : start + _CHUNK_EVENTS])
            run.append((self._file.tell(), self._file.write(chunk)))
        self._runs.append(run)
        self._pending.clear()

    @staticmethod
    def _read_run(file: IO[bytes], run: list[tuple[int, int]]) -> Iterator[Record]:
        for place, size in run:
            file.seek(place)
            yield from marshal.loads(file.read(size))
