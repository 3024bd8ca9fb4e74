"""The job that a peer reads from its standard input, and the answer that it writes to its standard output."""

from __future__ import annotations

import json
import sys
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from bench.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class Job:
    """One day of one channel.

    Attributes:
        channel: whose events are wanted.
        files: the day's raw objects on the disk, in the order of their names; what reads S3 does not need them.
        output: the zip to write on the disk; what writes to S3 takes it as scratch.
        store: the S3 server.
        source_bucket: where the day's raw objects are.
        keys: their keys, in order.
        target_bucket: where to write.
        target: the key of the zip, or the prefix of several objects.
    """

    channel: str
    files: tuple[str, ...]
    output: str
    store: Store
    source_bucket: str
    keys: tuple[str, ...]
    target_bucket: str
    target: str

    def to_json(self) -> str:
        """Return the job as JSON."""
        return json.dumps(asdict(self))


def read_job() -> Job:
    """Read the job of this process."""
    facts = json.load(sys.stdin)
    return Job(
        **facts | {"store": Store(**facts["store"]), "files": tuple(facts["files"]), "keys": tuple(facts["keys"])}
    )


@contextmanager
def timed() -> Iterator[None]:
    """Write how long the block took, which excludes the start of the process."""
    started = time.perf_counter()
    yield
    print(json.dumps({"seconds": time.perf_counter() - started}))
