"""Our own worker as a contender: a process that is started once and then does one job after another.

The benchmark uses `Worker`. The process is this module, run with `-m`; it builds and assembles days as the records of
dataset.days would have it.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from itertools import product
from typing import IO, TYPE_CHECKING, Any, Final, Self
from uuid import uuid4

from bench.errors import BenchError
from bench.memory import MemoryWatch, family_memory
from exhaust.domain.catalogue import load_catalogue
from exhaust.process.run import run_process
from exhaust.s3.store import open_object_store
from schemas.events import DayRequested
from services.aggregator.archive.day_summary import DaySummary
from services.aggregator.assemble import Assembler
from services.aggregator.build.day_builder import open_day_builder
from services.aggregator.settings import AggregatorSettings
from telemetry.resource_ids import resource_id

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from services.aggregator.build.day_builder import DayBuilder

_STOP_LIMIT_S: Final = 30
_MEASURE_EVERY: Final = timedelta(milliseconds=50)


@dataclass(frozen=True, slots=True)
class ExistingDay:
    """A day archive that lies in the bucket already."""

    day: str
    key: str
    size: int
    crc32: int
    sha256: str


@dataclass(frozen=True, slots=True)
class JobResult:
    """The result of a job: the worker's time, the keys that it wrote, and its peak memory in bytes, if watched."""

    seconds: float
    keys: tuple[str, ...]
    peak: int | None


class Worker:
    """The worker's process. Its methods raise BenchError when it fails; its log says why.

    Attributes:
        pid: the process's id.
        watched: True while its memory is sampled, which takes a tenth of its time.
    """

    def __init__(self, environment: Mapping[str, str], log: IO[bytes]) -> None:
        self.watched = False
        self._process = subprocess.Popen(
            (sys.executable, "-m", "bench.aggregator.our_worker"),
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        self.pid = self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(_STOP_LIMIT_S)

    def build(self, dataset: str, owners: Sequence[str], days: Sequence[date]) -> JobResult:
        """Build each of the days for each of the owners, as many at once as the worker may."""
        return self._do({"dataset": dataset, "owners": owners, "days": [day.isoformat() for day in days]})

    def assemble(self, dataset: str, owner: str, existing: Sequence[ExistingDay]) -> JobResult:
        """Assemble the download of a new request for days in a row, all of which exist."""
        days = [asdict(day) for day in existing]
        return self._do({"dataset": dataset, "owners": [owner], "existing": days})

    def _do(self, job: Mapping[str, object]) -> JobResult:
        if self._process.stdin is None or self._process.stdout is None:
            raise BenchError("the worker has no pipes")
        with MemoryWatch(lambda: family_memory(self.pid), _MEASURE_EVERY) if self.watched else nullcontext() as memory:
            self._process.stdin.write(json.dumps(job) + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        if not answer:
            raise BenchError(f"our worker ended with {self._process.wait(_STOP_LIMIT_S)} instead of doing its job")
        facts = json.loads(answer)
        return JobResult(facts["seconds"], tuple(facts["keys"]), memory.peak if memory else None)


class _Engine:
    """The jobs of the process."""

    def __init__(self, builder: DayBuilder, assembler: Assembler) -> None:
        self._builder = builder
        self._assembler = assembler

    async def do(self, job: dict[str, Any]) -> dict[str, object]:
        """Do one job, and time it."""
        if "existing" in job:
            return await self._assemble(job)
        pairs = product(job["owners"], map(date.fromisoformat, job["days"]))
        messages = [_message(job["dataset"], owner, day, day) for owner, day in pairs]
        started = time.perf_counter()
        keys = await asyncio.gather(*map(self._build, messages))
        return {"seconds": time.perf_counter() - started, "keys": keys}

    async def _build(self, message: DayRequested) -> str:
        return (await self._builder.build(message)).summary.key

    async def _assemble(self, job: dict[str, Any]) -> dict[str, object]:
        days = [ExistingDay(**facts) for facts in job["existing"]]
        first = date.fromisoformat(days[0].day)
        message = _message(job["dataset"], job["owners"][0], first, first + timedelta(days=len(days) - 1))
        for number, day in enumerate(days):
            one = message.model_copy(update={"day": first + timedelta(days=number)})
            await self._assembler.mark(one, _summary(one.day, day))
        started = time.perf_counter()
        archive = await self._assembler.assemble_if_last(message)
        return {"seconds": time.perf_counter() - started, "keys": [archive.key] if archive else []}


def _message(dataset: str, owner: str, first: date, last: date) -> DayRequested:
    return DayRequested(
        requestid=uuid4(),
        attempt=1,
        datasetid=dataset,
        resourceid=resource_id(owner),
        fromdate=first,
        todate=last,
        owner=owner,
        day=first,
    )


def _summary(day: date, found: ExistingDay) -> DaySummary:
    return DaySummary(
        day=day,
        key=found.key,
        size=found.size,
        crc32=found.crc32,
        sha256=found.sha256,
        events=0,
        bytes=0,
        unreadable=0,
        duplicates=0,
        versions={},
        sources=(),
        unreadable_lines=(),
        first_received=None,
        last_received=None,
        first_event=None,
        last_event=None,
    )


async def _serve(answers: IO[str]) -> None:
    settings = AggregatorSettings()
    catalogue = load_catalogue(settings.catalogue)
    async with open_object_store(settings) as objects, open_day_builder(objects, catalogue, settings) as builder:
        engine = _Engine(builder, Assembler(objects, settings.s3_exhaust_bucket))
        while line := await asyncio.to_thread(sys.stdin.readline):
            print(json.dumps(await engine.do(json.loads(line))), file=answers, flush=True)


def main() -> None:
    """Run the process: it reads a job a line from standard input, and writes an answer a line to standard output."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what else is printed goes to the log
    run_process(lambda: _serve(answers))


if __name__ == "__main__":
    main()
