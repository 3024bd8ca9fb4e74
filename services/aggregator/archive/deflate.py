"""Deflate whose output depends on the bytes alone, not on how they arrive."""

from __future__ import annotations

import hashlib
from functools import cache
from typing import Final

from isal import isal_zlib

from services.aggregator.archive.zip_format import Content

# isal chooses its deflate blocks by what one call gives it, so other cuts of the same data make other bytes. Every call
# therefore gets exactly this many bytes, save the last. Part of the archive format: another size makes other archives,
# and so may another version of isal, or a processor without SSE4.2, where isal takes other paths through the same data.
BLOCK_SIZE: Final = 256 * 1024
_LEVEL: Final = 1
_RAW: Final = -15  # window bits, negative for a stream without header and trailer: what zip holds


class RawDeflate:
    """One raw deflate stream (RFC 1951), at isal's level 1. Holds less than one block of input back."""

    def __init__(self) -> None:
        self._compressor = isal_zlib.compressobj(_LEVEL, isal_zlib.DEFLATED, _RAW)
        self._pending = bytearray()

    def write(self, data: bytes | bytearray | memoryview) -> bytes:
        """Take raw bytes; returns what is ready of the stream, often nothing."""
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
        """The rest of the stream; nothing may be written afterwards."""
        last = self._compressor.compress(self._pending)
        self._pending.clear()
        return last + self._compressor.flush()


class DeflatedMember:
    """Deflates a member's bytes, and counts them.

    Attributes:
        content: checksum and sizes of what was written; complete after finish.
    """

    def __init__(self) -> None:
        self._deflate = RawDeflate()
        self.content = Content(0, 0, 0)

    def write(self, data: bytes | bytearray | memoryview) -> bytes:
        """Take raw bytes; returns what is ready of their deflate stream, often nothing."""
        return self._counted(data, self._deflate.write(data))

    def finish(self) -> bytes:
        """The rest of the deflate stream; nothing may be written afterwards."""
        return self._counted(b"", self._deflate.finish())

    def _counted(self, raw: bytes | bytearray | memoryview, deflated: bytes) -> bytes:
        known = self.content
        self.content = Content(
            isal_zlib.crc32(raw, known.crc32),
            known.compressed_size + len(deflated),
            known.size + memoryview(raw).nbytes,
        )
        return deflated


@cache
def deflater_id() -> str:
    """A name for the way this machine deflates: equal where the same data gives the same bytes.

    It is taken from a sample of several blocks, part repetitive and part not, so that it tells apart versions of isal
    and kinds of processors without a list of either.
    """
    noise = b"".join(hashlib.sha256(number.to_bytes(4, "big")).digest() for number in range(4096))
    text = b"".join(b'{"eid":"E%d","mid":"%x","ets":%d}\n' % (n % 7, n * 7919, n * n) for n in range(12_000))
    stream = RawDeflate()
    return hashlib.sha256(stream.write(text + noise + text) + stream.finish()).hexdigest()[:16]
