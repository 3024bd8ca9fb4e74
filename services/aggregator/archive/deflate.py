"""Deflate streams whose bytes depend on the data alone, not on how it arrives."""

from __future__ import annotations

import hashlib
from functools import cache
from typing import Final

from isal import isal_zlib

from services.aggregator.archive.zip_format import Content

# isal chooses its deflate blocks by the bytes of one call, so other cuts of the same data make other bytes. Every call
# but the last therefore gets exactly this many. The size is part of the archive format: another one makes other
# archives, and so may another version of isal, or a processor without SSE4.2, on which isal takes another path.
BLOCK_SIZE: Final = 256 * 1024
_LEVEL: Final = 1
_RAW: Final = -15  # window bits, negative for a stream without header and trailer: what zip holds


class RawDeflate:
    """One raw deflate stream (RFC 1951), at isal's level 1. It holds back less than one block of input."""

    def __init__(self) -> None:
        self._compressor = isal_zlib.compressobj(_LEVEL, isal_zlib.DEFLATED, _RAW)
        self._pending = bytearray()

    def write(self, data: bytes | bytearray | memoryview) -> bytes:
        """Add raw bytes; return the bytes of the stream that are ready, often none."""
        left = memoryview(data).cast("B")
        ready = []
        while left:
            piece = left[: BLOCK_SIZE - len(self._pending)]
            left = left[len(piece) :]
            if len(piece) == BLOCK_SIZE:
                ready.append(self._compressor.compress(piece))
                continue
            self._pending += piece
            if len(self._pending) == BLOCK_SIZE:
                ready.append(self._compressor.compress(self._pending))
                self._pending.clear()
        return b"".join(ready)

    def finish(self) -> bytes:
        """Return the rest of the stream; nothing may be written afterwards."""
        last = self._compressor.compress(self._pending)
        self._pending.clear()
        return last + self._compressor.flush()


class DeflatedMember:
    """The deflate stream of one archive member, with its checksum and sizes.

    Attributes:
        content: checksum and sizes of what was written; complete after finish.
    """

    def __init__(self) -> None:
        self._deflate = RawDeflate()
        self.content = Content(0, 0, 0)

    def write(self, data: bytes | bytearray | memoryview) -> bytes:
        """Add raw bytes; return the bytes of the stream that are ready, often none."""
        return self._count(data, self._deflate.write(data))

    def finish(self) -> bytes:
        """Return the rest of the stream; nothing may be written afterwards."""
        return self._count(b"", self._deflate.finish())

    def _count(self, raw: bytes | bytearray | memoryview, deflated: bytes) -> bytes:
        known = self.content
        self.content = Content(
            isal_zlib.crc32(raw, known.crc32),
            known.compressed_size + len(deflated),
            known.size + memoryview(raw).nbytes,
        )
        return deflated


@cache
def deflater_id() -> str:
    """Return an id of the way in which this machine deflates. Machines with equal ids give equal bytes for equal data.

    The id is the hash of a deflated sample of several blocks, part repetitive and part not. So it tells apart versions
    of isal and kinds of processors without a list of either.
    """
    noise = b"".join(hashlib.sha256(number.to_bytes(4, "big")).digest() for number in range(4096))
    text = b"".join(b'{"eid":"E%d","mid":"%x","ets":%d}\n' % (n % 7, n * 7919, n * n) for n in range(12_000))
    stream = RawDeflate()
    return hashlib.sha256(stream.write(text + noise + text) + stream.finish()).hexdigest()[:16]
