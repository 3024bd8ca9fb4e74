"""The process of a scan worker: `python -m services.aggregator.scan.worker_process`.

It scans the objects that arrive on standard input and answers on standard output; the other end of both is
build/scan_workers.py. A message is a kind of one byte, a length of four bytes, and the payload, pickled unless it is a
CHUNK: both ends are our own. First of all the process sends GREETING, with its hash of KNOWN_TEXT. Then, for each
object, it receives JOB, any number of CHUNKs and END; it answers each CHUNK by OUTPUT and END by RESULT, or any of them
by FAILURE, with the error.
"""

from __future__ import annotations

import gc
import os
import pickle
import signal
import struct
import sys
from typing import TYPE_CHECKING, Final

from exhaust.errors import SourceObjectError
from services.aggregator.scan.gzip_passthrough import SeveralMembersError
from services.aggregator.scan.line_numbers import LineNumberFinder, LineNumberJob
from services.aggregator.scan.source_scan import ScanJob, SourceScan

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

HEADER: Final = struct.Struct("<cL")
JOB: Final = b"J"
CHUNK: Final = b"C"
END: Final = b"E"
GREETING: Final = b"G"
OUTPUT: Final = b"O"
RESULT: Final = b"R"
FAILURE: Final = b"F"
# Ids are counted by their hashes, so no two processes may hash the same text differently.
KNOWN_TEXT: Final = "a text that every process hashes"
# The event loop, which answers Kafka and health checks, goes first.
_NICENESS: Final = 5


def unpickle(payload: bytes) -> object:
    """Return the object in a payload."""
    return pickle.loads(payload)  # noqa: S301 -- both ends of the pipe are ours


def serve(stdin: BinaryIO, stdout: BinaryIO) -> None:
    """Scan object after object until the input ends. What follows a failure is ignored until the next JOB.

    Raises:
        BrokenPipeError: the aggregator has ended.
    """
    _send(stdout, GREETING, hash(KNOWN_TEXT))
    scan: SourceScan | LineNumberFinder | None = None
    for kind, payload in _messages(stdin):
        try:
            if kind == JOB:
                scan = _begin(unpickle(payload))
            elif scan is not None and kind == CHUNK:
                _send(stdout, OUTPUT, scan.feed(payload))
            elif scan is not None:
                _send(stdout, RESULT, scan.finish())
        except (SourceObjectError, SeveralMembersError) as error:
            scan = None
            _send(stdout, FAILURE, error)


def _messages(stdin: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """Yield kind and payload of each message; a message that is cut off, since the aggregator has ended, is the end."""
    while len(header := stdin.read(HEADER.size)) == HEADER.size:
        kind, size = HEADER.unpack(header)
        if len(payload := stdin.read(size)) < size:
            return
        yield kind, payload


def _begin(job: object) -> SourceScan | LineNumberFinder | None:
    match job:
        case ScanJob():
            return SourceScan(job)
        case LineNumberJob():
            return LineNumberFinder(job)
        case _:
            return None


def _send(stdout: BinaryIO, kind: bytes, content: object) -> None:
    payload = pickle.dumps(content)
    stdout.write(HEADER.pack(kind, len(payload)))
    stdout.write(payload)
    stdout.flush()


def main() -> None:
    """Run the process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the aggregator decides when its scan workers end
    os.nice(_NICENESS)
    gc.set_threshold(100_000)  # what a line is decoded to has no cycles, and collecting would walk it again and again
    try:
        serve(sys.stdin.buffer, sys.stdout.buffer)
    except BrokenPipeError:
        os._exit(1)  # at once, since Python would flush standard output first, and complain that it cannot


if __name__ == "__main__":
    main()
