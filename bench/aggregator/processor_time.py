"""The processor time of a turn, parted into contender, scan workers and store."""

from __future__ import annotations

import os
import resource
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.processes import children

_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_USER, _SYSTEM = 11, 12  # places in /proc/<pid>/stat behind the name, from 0; see proc(5)


@dataclass(frozen=True, slots=True)
class ProcessorTime:
    """Seconds of processor time.

    Attributes:
        contender: our worker's own process, or a peer's processes.
        scan_workers: the processes in which our worker scans.
        store: SeaweedFS.
    """

    contender: float
    scan_workers: float
    store: float

    def __sub__(self, before: ProcessorTime) -> ProcessorTime:
        """Return the time that was taken since then."""
        return ProcessorTime(
            self.contender - before.contender, self.scan_workers - before.scan_workers, self.store - before.store
        )


def processor_time(worker: int, store: int) -> ProcessorTime:
    """Return the time that processes of these ids, and peers that have ended, have taken so far."""
    peers = resource.getrusage(resource.RUSAGE_CHILDREN)
    own = _seconds(worker) + peers.ru_utime + peers.ru_stime
    return ProcessorTime(own, sum(map(_seconds, children(worker))), _seconds(store))


def _seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[_USER]) + int(fields[_SYSTEM])) / _TICKS_PER_S
