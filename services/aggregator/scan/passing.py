"""Pass: a gzip object that leaves whole, as the deflate stream that it already is.

A gzip member is a header, a raw deflate stream, and the stream's CRC-32 and length (RFC 1952, 2.3): all that a zip
member needs. The stream is inflated on the way, to check both and to count; but nothing is deflated again.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from isal import isal_zlib

from services.aggregator.archive.zip_format import Content
from services.aggregator.scan.inflating import PIECE, CorruptStreamError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from services.aggregator.scan.size_guard import Gauge

_FIXED_HEADER: Final = 10
_FLAG_CHECKSUM, _FLAG_EXTRA, _FLAG_NAME, _FLAG_COMMENT = 2, 4, 8, 16  # FHCRC, FEXTRA, FNAME, FCOMMENT
_TRAILER: Final = struct.Struct("<2L")
_RAW: Final = -15
_LONGEST_HEADER: Final = 1 << 20


class SeveralMembersError(Exception):
    """Another gzip member follows. Two deflate streams are not one, so the object has to be deflated anew."""

    def __init__(self, object_key: str) -> None:
        super().__init__(object_key)
        self.object_key = object_key


@dataclass(frozen=True, slots=True)
class Passage:
    """What a chunk is for the archive.

    Attributes:
        start, end: the part of the chunk that belongs to the deflate stream.
    """

    start: int
    end: int


class GzipPassage:
    """Follows one gzip member through the chunks of an object.

    Attributes:
        content: checksum and sizes of the member; checked once it has ended.
        ended: whether the whole member has come and was right.
    """

    def __init__(self, name: str, gauge: Gauge) -> None:
        self._name = name
        self._gauge = gauge
        self._head = bytearray()
        self._in_stream = False
        self._stream = isal_zlib.decompressobj(wbits=_RAW)
        self._tail = bytearray()
        self.content = Content(0, 0, 0)
        self.ended = False

    def feed(self, chunk: bytes) -> Iterator[bytes | Passage]:
        """Inflated pieces of at most PIECE bytes; last, which part of the chunk passes.

        Raises:
            SourceObjectError: it is corrupt, or exceeds a limit.
            SeveralMembersError: see there.
        """
        self._gauge.stored += len(chunk)
        start = 0 if self._in_stream else self._after_header(chunk)
        if not self._in_stream:
            yield Passage(0, 0)
            return
        end = start
        if not self._stream.eof:
            yield from self._inflate(chunk[start:] if start else chunk)
            end = len(chunk) - len(self._stream.unused_data)
        self._tail += chunk[end:]
        self._check_tail()
        known = self.content
        self.content = Content(known.crc32, known.compressed_size + end - start, known.size)
        yield Passage(start, end)

    def finish(self) -> None:
        """The object has ended.

        Raises:
            SourceObjectError: in the middle of the member.
        """
        if not self.ended:
            raise self._gauge.unreadable("the compressed stream ends in the middle")

    def _inflate(self, data: bytes) -> Iterator[bytes]:
        while not self._stream.eof:
            try:
                piece = self._stream.decompress(data, PIECE)
            except CorruptStreamError as error:
                raise self._gauge.unreadable(f"the gzip stream is corrupt: {error}") from error
            data = self._stream.unconsumed_tail
            if not piece:
                return
            known = self.content
            self.content = Content(isal_zlib.crc32(piece, known.crc32), known.compressed_size, known.size + len(piece))
            yield self._gauge.piece(piece)
            if not data and len(piece) < PIECE:
                return

    def _check_tail(self) -> None:
        """What stands behind the stream: checksum, length, and at most padding."""
        if not self._stream.eof or len(self._tail) < _TRAILER.size:
            return
        if not self.ended:
            if _TRAILER.unpack_from(self._tail) != (self.content.crc32, self.content.size & 0xFFFF_FFFF):
                raise self._gauge.unreadable("the gzip stream is corrupt: its checksum or length is wrong")
            self.ended = True
        if self._tail[_TRAILER.size :].strip(b"\0"):
            raise SeveralMembersError(self._name)
        del self._tail[_TRAILER.size :]

    def _after_header(self, chunk: bytes) -> int:
        """Where the stream starts in the chunk, once the whole header has come."""
        before = len(self._head)
        self._head += chunk
        length = _header_length(self._head)
        if length is None:
            if len(self._head) > _LONGEST_HEADER:
                raise self._gauge.unreadable("the gzip stream is corrupt: its header does not end")
            return 0
        self._in_stream = True
        self._head = bytearray()
        return length - before


def _header_length(head: bytearray) -> int | None:
    """Bytes of a gzip header (RFC 1952, 2.3); None while it has not come whole."""
    if len(head) < _FIXED_HEADER:
        return None
    flags, at = head[3], _FIXED_HEADER
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
