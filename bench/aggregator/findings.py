"""What the measurements give: rows for the tables, bars for the verdict."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.aggregator.ours import Done
    from bench.aggregator.processor_time import ProcessorTime
    from bench.bars import Bar

MIB: Final = 1024 * 1024
MB: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Row:
    """A contender's line in the table.

    Attributes:
        task: what was asked for.
        name: who did it.
        way: from where to where.
        seconds: of each round, without the start of the process.
        amount: bytes that went in: of JSON lines, or of objects where nothing is inflated.
        whole: seconds of each round with the start; empty for a worker that runs already.
        times: how many times faster ours was; None for ours.
        note: whether the output is right, and what it does less.
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
        """For a table with COLUMNS."""
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
        """For a table with PROCESSOR_COLUMNS."""
        own, scan_workers, store = (
            median(getattr(spent, name) for spent in self.processors) for name in ("contender", "scan_workers", "store")
        )
        busy = (own + scan_workers + store) / median(self.whole or self.seconds)
        return self.task, self.name, f"{own:.2f}", f"{scan_workers:.2f}", f"{store:.2f}", f"{busy:.1f}"


COLUMNS: Final = ("task", "contender", "from → to", "s", "s with start", "MB/s", "times ours is faster", "output")


PROCESSOR_COLUMNS: Final = ("task", "contender", "own s", "scan workers s", "store s", "processors busy")


@dataclass(frozen=True, slots=True)
class Memory:
    """The most memory that our worker took for a job, and how long that took."""

    job: str
    peak: int
    seconds: float

    @property
    def cells(self) -> tuple[str, ...]:
        """For a table with MEMORY_COLUMNS."""
        return self.job, f"{self.peak / MIB:.0f}", f"{self.seconds:.1f}"


MEMORY_COLUMNS: Final = ("job", "peak MiB", "s")


@dataclass(slots=True)
class Findings:
    """All of it, in the order measured.

    Attributes:
        stages: for each kind of selection, the ms that each stage of a scan takes of one object.
    """

    rows: list[Row] = field(default_factory=list)
    memory: list[Memory] = field(default_factory=list)
    bars: list[Bar] = field(default_factory=list)
    stages: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def remember(self, job: str, done: Done) -> float:
        """Notes a job's peak, if it was watched, the highest when the job comes again; returns its seconds."""
        if done.peak is None:
            return done.seconds
        before = next((seen for seen in self.memory if seen.job == job), None)
        if before is None:
            self.memory.append(Memory(job, done.peak, done.seconds))
        elif done.peak > before.peak:
            self.memory[self.memory.index(before)] = Memory(job, done.peak, done.seconds)
        return done.seconds
