"""The testbed of the benchmark: a local stack of its own, the data in it, our worker, and the peers' processes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bench.aggregator.generated_data import CHANNELS, Block, GeneratedObject, blocks
from bench.aggregator.our_worker import JobResult, Worker
from bench.aggregator.peers.job import Job
from bench.aggregator.processor_time import ProcessorTime, processor_time
from bench.bars import Pairs
from bench.errors import BenchError
from bench.progress import report_progress
from bench.s3_client import S3Client, chunks
from bench.store import Store
from deploy.local import seaweedfs
from deploy.local.independent_events import resource_of
from deploy.local.stack import PROJECT, Stack, service_environment, start_stack, stop_stack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import date
    from pathlib import Path

SHARED: Final = "eks-consumption-raw"
SHARED_PREFIX: Final = "raw/"
WHOLE: Final = "channel-raw"
CHANNEL: Final = CHANNELS[3]
RESOURCE: Final = resource_of(CHANNEL)
WHOLE_PREFIX: Final = f"channel/{CHANNEL}/"
_PEER_LIMIT_S: Final = 600
_BUILT: Final = ("days/", "records/", "requests/", "peers/")
_UNCOUNTED_ROUNDS: Final = 2


@dataclass(frozen=True, slots=True)
class PeerRun:
    """The seconds that a peer's process took: for its work, and with its start and end."""

    seconds: float
    whole: float


@dataclass(frozen=True, slots=True)
class Turns(Pairs):
    """Pairs, and the processor time that each turn took."""

    our_time: tuple[ProcessorTime, ...]
    their_time: tuple[ProcessorTime, ...]


@dataclass(frozen=True, slots=True)
class Testbed:
    """All that a measurement needs.

    Attributes:
        rounds: number of rounds that count.
    """

    folder: Path
    stack: Stack
    client: S3Client
    store: Store
    worker: Worker
    blocks: list[Block]
    rounds: int

    def upload(self, prefix: str, objects: Sequence[GeneratedObject]) -> None:
        """Put raw objects into their bucket."""
        for made in objects:
            self.client.put(self.stack.s3.raw_bucket, prefix + made.name, made.chunks(), made.stored)

    def files(self, objects: Sequence[GeneratedObject]) -> list[Path]:
        """Return raw objects of one block each as files, in a folder of their own day."""
        paths = []
        for made in objects:
            path = self.folder / "files" / made.day.isoformat() / made.name
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                os.link(made.blocks[0].path, path)
            paths.append(path)
        return paths

    def job(self, name: str, prefix: str, objects: Sequence[GeneratedObject]) -> Job:
        """Return the job of a peer."""
        return Job(
            channel=CHANNEL,
            files=tuple(map(str, self.files(objects))),
            output=str(self.folder / f"{name}.zip"),
            store=self.store,
            source_bucket=self.stack.s3.raw_bucket,
            keys=tuple(prefix + made.name for made in objects),
            target_bucket=self.stack.s3.exhaust_bucket,
            target=f"peers/{name}/",
        )

    def run(self, module: str, job: Job) -> PeerRun:
        """Run a peer's process to its end.

        Raises:
            BenchError: it failed.
        """
        program = (sys.executable, "-m", f"bench.aggregator.peers.{module}")
        started = time.perf_counter()
        done = subprocess.run(
            program, input=job.to_json(), capture_output=True, text=True, check=False, timeout=_PEER_LIMIT_S
        )
        whole = time.perf_counter() - started
        if done.returncode:
            raise BenchError(f"{module} ended with {done.returncode}: {done.stderr[-1000:]}")
        return PeerRun(json.loads(done.stdout)["seconds"], whole)

    def build(self, dataset: str, days: Sequence[date], owners: Sequence[str] = (CHANNEL,)) -> JobResult:
        """Have our worker build days, none of which exists yet."""
        self.delete_built()
        return self.worker.build(dataset, owners, days)

    def fetch(self, key: str) -> Path:
        """Fetch an object of the exhaust bucket into a file."""
        path = self.folder / "fetched.zip"
        with path.open("wb") as file:
            for chunk in chunks(self.client.get(self.stack.s3.exhaust_bucket, key)):
                file.write(chunk)
        return path

    def delete_built(self) -> None:
        """Delete all that our worker and the peers have built."""
        for prefix in _BUILT:
            self.client.delete_below(self.stack.s3.exhaust_bucket, prefix)

    def alternate(self, ours: Callable[[], float], theirs: Callable[[], float]) -> Turns:
        """Run both, alternating: two rounds that only sample our memory, then the rounds that count."""
        with self.watched():
            for contender in (ours, theirs) * _UNCOUNTED_ROUNDS:
                self._turn(contender)
        rounds = [(self._turn(ours), self._turn(theirs)) for _ in range(self.rounds)]
        mine, yours = zip(*rounds, strict=True)
        (our_seconds, our_time), (their_seconds, their_time) = zip(*mine, strict=True), zip(*yours, strict=True)
        return Turns(our_seconds, their_seconds, our_time, their_time)

    def _turn(self, contender: Callable[[], float]) -> tuple[float, ProcessorTime]:
        """Run a contender once, when nothing is built and nothing waits for the disk."""
        self.delete_built()
        os.sync()
        before = self._processor_time()
        seconds = contender()
        return seconds, self._processor_time() - before

    def _processor_time(self) -> ProcessorTime:
        return processor_time(self.worker.pid, self.stack.processes[seaweedfs.NAME])

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Sample our worker's memory while the block lasts."""
        self.worker.watched = True
        yield
        self.worker.watched = False


@contextmanager
def open_testbed(folder: Path, rounds: int, *, keep: bool) -> Iterator[Testbed]:
    """Start the servers and our worker; stop them at the end of the block.

    Args:
        folder: keeps the blocks for the next time; all else in it goes at the end.
        rounds: as of Testbed.
        keep: True to keep all else.
    """
    report_progress("generating the data, once")
    made = blocks(folder / "blocks")
    scratch = folder / "scratch"
    shutil.rmtree(scratch, ignore_errors=True)
    try:
        report_progress("starting Kafka, PostgreSQL and SeaweedFS")
        stack = start_stack(scratch / "stack", services=False, stop_at_exit=True)
        store = Store(stack.s3.endpoint, stack.s3.access_key, stack.s3.secret_key)
        environment = service_environment(scratch / "stack", "aggregator")
        log = scratch / "ours.log"
        with log.open("wb") as written, Worker(environment, written) as worker:
            yield Testbed(scratch, stack, S3Client(store), store, worker, made, rounds)
    finally:
        if (scratch / "stack").exists():
            stop_stack(scratch / "stack")
        if not keep:
            shutil.rmtree(scratch, ignore_errors=True)


DEFAULT_FOLDER: Final = PROJECT / ".cache" / "bench"
