"""The passthrough of a gzip object that is selected whole: its deflate stream becomes the zip member as it is.

A gzip member is a header, a raw deflate stream, and the stream's CRC-32 and length (RFC 1952, 2.3): all that a zip
member needs. The stream is inflated on the way, to check both and to count events; but nothing is deflated again.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from isal import isal_zlib

from services.aggregator.archive.zip_format import Content
from services.aggregator.scan.inflater import MAX_PIECE_BYTES, CorruptStreamError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from services.aggregator.scan.size_guard import SizeGuard

_FIXED_HEADER_BYTES: Final = 10
_FLAG_CHECKSUM, _FLAG_EXTRA, _FLAG_NAME, _FLAG_COMMENT = 2, 4, 8, 16  # FHCRC, FEXTRA, FNAME, FCOMMENT
_TRAILER: Final = struct.Struct("<2L")
_RAW_WBITS: Final = -15  # of zlib: a stream without header and trailer
_MAX_HEADER_BYTES: Final = 1 << 20


class SeveralMembersError(Exception):
    """Another gzip member follows. Two deflate streams cannot pass as one, so the object has to be recompressed."""

    def __init__(self, object_key: str) -> None:
        super().__init__(object_key)
        self.object_key = object_key


@dataclass(frozen=True, slots=True)
class ChunkRange:
    """The part of a chunk that belongs to the deflate stream: its bytes from `start` up to, not including, `end`."""

    start: int
    end: int


class GzipPassthrough:
    """The gzip member of one object.

    Attributes:
        content: checksum and sizes of what has come so far.
        ended: True when the whole member has come, and agrees with its checksum and length.
    """

    def __init__(self, name: str, guard: SizeGuard) -> None:
        self._name = name
        self._guard = guard
        self._head = bytearray()
        self._in_stream = False
        self._stream = isal_zlib.decompressobj(wbits=_RAW_WBITS)
        self._tail = bytearray()
        self.content = Content(0, 0, 0)
        self.ended = False

    def feed(self, chunk: bytes) -> Iterator[bytes | ChunkRange]:
        """Yield the inflated pieces of a chunk, and at last the range of the chunk that passes.

        Raises:
            SourceObjectError: the object is corrupt, or exceeds a limit.
            SeveralMembersError: another member follows.
        """
        self._guard.stored += len(chunk)
        start = 0 if self._in_stream else self._after_header(chunk)
        if not self._in_stream:
            yield ChunkRange(0, 0)
            return
        end = start
        if not self._stream.eof:
            yield from self._inflate(chunk[start:] if start else chunk)
            end = len(chunk) - len(self._stream.unused_data)
        self._tail += chunk[end:]
        self._check_tail()
        known = self.content
        self.content = Content(known.crc32, known.compressed_size + end - start, known.size)
        yield ChunkRange(start, end)

    def finish(self) -> None:
        """Check that the object has ended with the member.

        Raises:
            SourceObjectError: it ended in the middle.
        """
        if not self.ended:
            raise self._guard.unreadable("the compressed stream ends in the middle")

    def _inflate(self, data: bytes) -> Iterator[bytes]:
        while not self._stream.eof:
            try:
                piece = self._stream.decompress(data, MAX_PIECE_BYTES)
            except CorruptStreamError as error:
                raise self._guard.unreadable(f"the gzip stream is corrupt: {error}") from error
            data = self._stream.unconsumed_tail
            if not piece:
                return
            known = self.content
            self.content = Content(isal_zlib.crc32(piece, known.crc32), known.compressed_size, known.size + len(piece))
            yield self._guard.check(piece)
            if not data and len(piece) < MAX_PIECE_BYTES:
                return

    def _check_tail(self) -> None:
        """Check what stands behind the stream: checksum, length, and at most padding."""
        if not self._stream.eof or len(self._tail) < _TRAILER.size:
            return
        if not self.ended:
            if _TRAILER.unpack_from(self._tail) != (self.content.crc32, self.content.size & 0xFFFF_FFFF):
                raise self._guard.unreadable("the gzip stream is corrupt: its checksum or length is wrong")
            self.ended = True
        if self._tail[_TRAILER.size :].strip(b"\0"):
            raise SeveralMembersError(self._name)
        del self._tail[_TRAILER.size :]

    def _after_header(self, chunk: bytes) -> int:
        """Return where the stream starts in the chunk; 0 while the header has not come whole."""
        before = len(self._head)
        self._head += chunk
        length = _header_length(self._head)
        if length is None:
            if len(self._head) > _MAX_HEADER_BYTES:
                raise self._guard.unreadable("the gzip stream is corrupt: its header does not end")
            return 0
        self._in_stream = True
        self._head = bytearray()
        return length - before


def _header_length(head: bytearray) -> int | None:
    """Return the bytes of a gzip header (RFC 1952, 2.3); None while it has not come whole."""
    if len(head) < _FIXED_HEADER_BYTES:
        return None
    flags, at = head[3], _FIXED_HEADER_BYTES
    if flags & _FLAG_EXTRA:
        if len(head) < at + 2:
            return None
        at += 2 + int.from_bytes(head[at : at + 2], "little")
    for flag in (_FLAG_NAME, _FLAG_COMMENT):
        if flags & flag:
            at = head.find(0, at) + 1
            if not at:
                return None
    at += 2 if flags & _FLAG_CHECKSUM else 0
    return at if at <= len(head) else None
