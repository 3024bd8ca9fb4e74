"""The results of the measurements: rows for the tables, bars for the verdict."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.aggregator.our_worker import JobResult
    from bench.aggregator.processor_time import ProcessorTime
    from bench.bars import Bar

MIB: Final = 1024 * 1024
MB: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Row:
    """A contender's row in the table.

    Attributes:
        task: the job.
        name: the contender.
        way: from where to where the data went.
        seconds: of each round, without the start of the process.
        amount: bytes that went in: of JSON lines, or of objects where nothing is inflated.
        whole: seconds of each round with the start; empty for a worker that runs already.
        times: how many times faster ours was; None for ours.
        note: verdict on the output, and what the contender leaves out.
        processors: time of processors in each round; empty where it was not looked at.
    """

    task: str
    name: str
    way: str
    seconds: Sequence[float]
    amount: int
    whole: Sequence[float] = ()
    times: float | None = None
    note: str = ""
    processors: Sequence[ProcessorTime] = ()

    @property
    def cells(self) -> tuple[str, ...]:
        """The cells of a table with COLUMNS."""
        middle = median(self.seconds)
        return (
            self.task,
            self.name,
            self.way,
            f"{middle:.2f}",
            f"{median(self.whole):.2f}" if self.whole else "",
            f"{self.amount / MB / middle:,.0f}",
            f"{self.times:.2f}" if self.times else "",
            self.note,
        )

    @property
    def processor_cells(self) -> tuple[str, ...]:
        """The cells of a table with PROCESSOR_COLUMNS."""
        own, scan_workers, store = (
            median(getattr(spent, name) for spent in self.processors) for name in ("contender", "scan_workers", "store")
        )
        busy = (own + scan_workers + store) / median(self.whole or self.seconds)
        return self.task, self.name, f"{own:.2f}", f"{scan_workers:.2f}", f"{store:.2f}", f"{busy:.1f}"


COLUMNS: Final = ("task", "contender", "from → to", "s", "s with start", "MB/s", "times ours is faster", "output")


PROCESSOR_COLUMNS: Final = ("task", "contender", "own s", "scan workers s", "store s", "processors busy")


@dataclass(frozen=True, slots=True)
class Memory:
    """The peak memory of our worker during a job, and the time of the job."""

    job: str
    peak: int
    seconds: float

    @property
    def cells(self) -> tuple[str, ...]:
        """The cells of a table with MEMORY_COLUMNS."""
        return self.job, f"{self.peak / MIB:.0f}", f"{self.seconds:.1f}"


MEMORY_COLUMNS: Final = ("job", "peak MiB", "s")


@dataclass(slots=True)
class Results:
    """All results, in the order measured.

    Attributes:
        stages: for each kind of selection, the ms that each stage of a scan takes of one object.
    """

    rows: list[Row] = field(default_factory=list)
    memory: list[Memory] = field(default_factory=list)
    bars: list[Bar] = field(default_factory=list)
    stages: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def add_memory(self, job: str, done: JobResult) -> float:
        """Add the peak memory of a job if it was watched, or keep its higher one; return the job's seconds."""
        if done.peak is None:
            return done.seconds
        before = next((seen for seen in self.memory if seen.job == job), None)
        if before is None:
            self.memory.append(Memory(job, done.peak, done.seconds))
        elif done.peak > before.peak:
            self.memory[self.memory.index(before)] = Memory(job, done.peak, done.seconds)
        return done.seconds
