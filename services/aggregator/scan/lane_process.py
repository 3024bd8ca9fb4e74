"""A lane's process: `python -m services.aggregator.scan.lane_process` scans the objects that arrive on standard input.

Messages are a kind of one byte, a length of four bytes, and the payload. They come from and go to our own processes
only, so what is not raw bytes is pickled. Out, first of all: GREETING, with the hash of KNOWN_TEXT. Then, for each
object, in: ORDER, CHUNKs, END; and out: a READY for each CHUNK, then DONE; or FAILED, with the error.
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
from services.aggregator.scan.numbering import LineNumbering, NumberOrder
from services.aggregator.scan.passing import SeveralMembersError
from services.aggregator.scan.source_scan import ScanOrder, SourceScan

if TYPE_CHECKING:
    from typing import BinaryIO

HEADER: Final = struct.Struct("<cL")
ORDER: Final = b"O"
CHUNK: Final = b"C"
END: Final = b"E"
GREETING: Final = b"G"
READY: Final = b"R"
DONE: Final = b"D"
FAILED: Final = b"F"
# Ids are counted by their hashes, so two processes must not hash the same text differently.
KNOWN_TEXT: Final = "a text that every process hashes"
# The loop that answers Kafka and health checks goes first.
NICENESS: Final = 5


def read_object(payload: bytes) -> object:
    """What a payload that is not raw bytes holds."""
    return pickle.loads(payload)  # noqa: S301 -- both ends of the pipe are ours


def serve(arriving: BinaryIO, leaving: BinaryIO) -> None:
    """Scan object after object until the input ends. What follows a failure is passed over until the next order."""
    _answer(leaving, GREETING, hash(KNOWN_TEXT))
    scan: SourceScan | LineNumbering | None = None
    while header := arriving.read(HEADER.size):
        kind, size = HEADER.unpack(header)
        payload = arriving.read(size)
        try:
            if kind == ORDER:
                scan = _begun(read_object(payload))
            elif scan is not None and kind == CHUNK:
                _answer(leaving, READY, scan.feed(payload))
            elif scan is not None:
                _answer(leaving, DONE, scan.finish())
        except (SourceObjectError, SeveralMembersError) as error:
            scan = None
            _answer(leaving, FAILED, error)


def _begun(order: object) -> SourceScan | LineNumbering | None:
    match order:
        case ScanOrder():
            return SourceScan(order)
        case NumberOrder():
            return LineNumbering(order)
        case _:
            return None


def _answer(leaving: BinaryIO, kind: bytes, content: object) -> None:
    payload = pickle.dumps(content)
    leaving.write(HEADER.pack(kind, len(payload)))
    leaving.write(payload)
    leaving.flush()


def main() -> None:
    """The process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the worker decides when a lane ends
    os.nice(NICENESS)
    gc.set_threshold(100_000)  # what a line is decoded to has no cycles, and collecting would walk it again and again
    serve(sys.stdin.buffer, sys.stdout.buffer)


if __name__ == "__main__":
    main()
